/** Gives a file to whoever looks, under a name that every file system takes. */
export function save(name: string, blob: Blob): void {
  const address = URL.createObjectURL(blob);
  const way = document.createElement("a");
  way.href = address;
  way.download = name.replace(/[^\p{L}\p{N}._ -]+/gu, "_");
  way.click();
  URL.revokeObjectURL(address);
}
