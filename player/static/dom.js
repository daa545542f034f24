/** Elements by DOM calls alone: what a catalogue says is put in as text and never becomes markup. */

const SVG = "http://www.w3.org/2000/svg";

/** The element of an id; an error where there is none, as that is a mistake of ours. */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element "${id}"`);
  return element;
}

/** An element with attributes and children; strings among the children become text. */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same of SVG. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

/** A picture of the page's own set. */
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

/** Change the picture of a button made with `icon`. */
export function setIcon(button, name) {
  button.querySelector("use").setAttribute("href", `#i-${name}`);
}

/** A link as an address of http or https; null for anything else. */
export function safeLink(link) {
  if (typeof link !== "string" || !link) return null;
  let address;
  try {
    address = new URL(link, location.href);
  } catch {
    return null;
  }
  return address.protocol === "http:" || address.protocol === "https:" ? address.href : null;
}

/**
 * Whether a button does something. It keeps the focus when it does not, unlike a disabled one, so
 * that a keyboard's user is not thrown to the top of the page.
 */
export function setEnabled(button, isEnabled) {
  button.setAttribute("aria-disabled", String(!isEnabled));
}

export function isEnabled(button) {
  return button.getAttribute("aria-disabled") !== "true";
}

/** Change a text only where it differs: a screen reader need not look twice. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    // Neither is ever wanted here, and both could run or style what a catalogue says.
    if (name === "style" || name.startsWith("on")) throw new Error(`no attribute ${name} here`);
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}
