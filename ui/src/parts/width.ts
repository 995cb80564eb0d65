// How wide a place is, for what has to know how much finds room in it.

import { useEffect, useRef, useState } from "preact/hooks";

/** Before it is known. */
const USUAL = 800;

export function useWidth() {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(USUAL);
  useEffect(() => {
    const room = place.current;
    if (!room) return;
    const watch = new ResizeObserver(() => setWidth(room.clientWidth));
    watch.observe(room);
    return () => watch.disconnect();
  }, []);
  return { place, width };
}
