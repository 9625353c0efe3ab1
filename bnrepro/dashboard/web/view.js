// What is shown, and the page's address: `#set=inception/small/committed&metric=train_loss&logy=1`.
const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

const PLAIN = {
  set: "",
  table: "",
  metric: "",
  x: "",
  down: "",
  colour: "",
  mode: "",
  share: "",
  against: "",
  arms: null,
  filter: {},
  logx: false,
  logy: false,
  smooth: 0,
  seeds: true,
  mean: true,
  paper: null,
  zoom: null,
  sort: "",
  theme: "auto",
};
const view = { ...PLAIN, filter: {} };
const CHOICES = ["metric", "x", "down", "colour", "mode", "arms", "filter", "zoom", "logx", "logy"];
// what a change of these resets, for it makes no sense elsewhere
const RESETS = {
  set: ["table", ...CHOICES, "share", "against", "paper"],
  table: CHOICES,
  metric: ["zoom"],
  x: ["zoom"],
  colour: ["arms", "zoom"],
  mode: ["x", "down", "zoom"],
  logx: ["zoom"],
  logy: ["zoom"],
  filter: ["zoom"],
};

/** The view as the part of the address behind `#`; what has its first value is left out. */
function toFragment() {
  const words = new URLSearchParams();
  for (const [key, first] of Object.entries(PLAIN)) {
    const value = view[key];
    if (key === "filter") {
      for (const [name, only] of Object.entries(value)) words.set(`f.${name}`, only);
    } else if (key === "arms" || key === "zoom") {
      if (value) words.set(key, value.join("~"));
    } else if (value !== first) {
      words.set(key, typeof value === "boolean" ? Number(value) : value);
    }
  }
  return words.toString();
}

/** Take the view from the address. */
function fromFragment() {
  Object.assign(view, PLAIN, { filter: {} });
  for (const [key, text] of new URLSearchParams(location.hash.slice(1))) {
    if (key.startsWith("f.")) view.filter[key.slice(2)] = text;
    else if (key === "arms") view.arms = text ? text.split("~") : [];
    else if (key === "zoom") view.zoom = numbersOf(text);
    else if (typeof PLAIN[key] === "boolean" || key === "paper") view[key] = text === "1";
    else if (key === "smooth") view.smooth = Math.min(0.99, Math.max(0, Number(text) || 0));
    else if (key in PLAIN) view[key] = text;
  }
}

/** Four numbers of the address; none where they are not. */
function numbersOf(text) {
  const numbers = text.split("~").map(Number);
  return numbers.length === 4 && numbers.every(Number.isFinite) ? numbers : null;
}

/** Change the view, put it into the address and show it. */
function change(changes) {
  for (const key of Object.keys(changes)) {
    for (const other of RESETS[key] ?? []) {
      view[other] = other === "filter" ? {} : PLAIN[other];
    }
  }
  Object.assign(view, changes);
  keepAddress();
  show();
}

/** Put the view into the address without a new entry in the history. */
function keepAddress() {
  history.replaceState(null, "", `#${toFragment()}`);
}
