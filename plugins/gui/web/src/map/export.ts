/** The picture as a file of its own: what the style sheet says of it goes along, so that other programs show the same. */

const STYLES = [
  "fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-family", "font-size", "font-weight",
  "text-anchor", "paint-order", "display",
] as const;

/** Saves the picture that is shown. */
export function exportDrawing(name: string): void {
  const drawing = document.querySelector<SVGSVGElement>(".map-drawing");
  if (!drawing) return;
  const url = URL.createObjectURL(new Blob([asFile(drawing)], { type: "image/svg+xml" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}

function asFile(drawing: SVGSVGElement): string {
  const copy = drawing.cloneNode(true) as SVGSVGElement;
  const [shown, copied] = [drawing.querySelectorAll("*"), copy.querySelectorAll("*")];
  shown.forEach((element, index) => dress(element, copied[index]));
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const { width, height } = drawing.viewBox.baseVal;
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  copy.prepend(paper(getComputedStyle(document.body).backgroundColor));
  for (const hit of copy.querySelectorAll(".map-hit")) hit.remove();
  return new XMLSerializer().serializeToString(copy);
}

function dress(element: Element, copied: Element | undefined): void {
  const style = getComputedStyle(element);
  for (const name of STYLES) copied?.setAttribute(name, style.getPropertyValue(name));
  copied?.removeAttribute("class");
}

function paper(colour: string): Element {
  const found = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of [["width", "100%"], ["height", "100%"], ["fill", colour]] as const) {
    found.setAttribute(name, value);
  }
  return found;
}
