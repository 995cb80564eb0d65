/** Gives a file to whoever looks, under a name that every file system takes. */
export function save(name: string, blob: Blob): void {
  const address = URL.createObjectURL(blob);
  const way = document.createElement("a");
  way.href = address;
  way.download = name.replace(/[^\p{L}\p{N}._ -]+/gu, "_");
  way.click();
  URL.revokeObjectURL(address);
}

/** Dots for each pixel: sharp where it is shown, and in print. */
const SCALE = 2;

/** Gives a drawing as a picture of dots. */
export async function picture(name: string, drawing: string): Promise<void> {
  const address = URL.createObjectURL(new Blob([drawing], { type: "image/svg+xml" }));
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * SCALE;
  canvas.height = image.naturalHeight * SCALE;
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(address);
  canvas.toBlob((blob) => blob && save(name, blob));
}
