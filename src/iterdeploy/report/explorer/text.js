// Elements and text. Nothing in the explorer turns text into HTML: what models wrote only ever becomes text nodes, and
// characters that cannot be seen, or that redirect what is seen, stand as their numbers.

const UNSEEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

const numbered = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** The text as one string; for places that hold no elements. */
const plain = (text) => String(text).replace(UNSEEN, numbered);

/** The text as nodes. */
function shown(text) {
  const nodes = [];
  let end = 0;
  for (const match of String(text).matchAll(UNSEEN)) {
    if (match.index > end) nodes.push(document.createTextNode(text.slice(end, match.index)));
    const mark = document.createElement("span");
    mark.className = "unseen";
    mark.textContent = numbered(match[0]);
    nodes.push(mark);
    end = match.index + match[0].length;
  }
  nodes.push(document.createTextNode(String(text).slice(end)));
  return nodes;
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, plain(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(...(child instanceof Node ? [child] : shown(String(child))));
  }
  return element;
}

/** An HTML element; attributes that begin with "on" are listeners, children that are not nodes become text. */
const make = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);

const draw = (name, attributes = {}, ...children) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

/** [1, 2, 3, 5] as "1 to 3, 5". */
function ranges(numbers) {
  const runs = [];
  for (const number of numbers) {
    if (runs.length && runs.at(-1)[1] === number - 1) runs.at(-1)[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([from, to]) => (from === to ? from : `${from} to ${to}`)).join(", ");
}

const stepText = (words) => `(${words.join(" ")})`;

const still = window.matchMedia("(prefers-reduced-motion: reduce)");
