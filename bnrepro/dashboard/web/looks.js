// Colours: those of the figures, lightened on a dark page; a ramp for values of a number.

const RAMP = ["#00224e", "#434e6c", "#7d7c78", "#bcaf6f", "#fee838"]; // cividis: readable without red and green
const dark = () => document.documentElement.dataset.theme === "dark";

/** The look of each value of the colour key. */
function looksOf(values) {
  const numeric =
    values.length > DATA.palette.colours.length &&
    values.every((v) => typeof v === "number" || v === null);
  if (numeric) {
    const colour = (i) => ramp(0.04 + 0.8 * (i / (values.length - 1)));
    return new Map(values.map((v, i) => [v, { label: short(v), colour: colour(i), dash: [] }]));
  }
  const others = values.filter((value) => !DATA.looks[value]);
  return new Map(values.map((value) => [value, lookOf(value, others.indexOf(value))]));
}

function lookOf(value, number) {
  if (value !== null && DATA.looks[value]) return DATA.looks[value];
  const { colours, dashes } = DATA.palette;
  const label = value === null ? "all" : short(value);
  const dash = dashes[Math.floor(number / colours.length) % dashes.length];
  return { label, colour: colours[number % colours.length], dash };
}

/** The colour at a place from 0 to 1 of the ramp. */
function ramp(place) {
  const at = Math.min(0.9999, Math.max(0, place)) * (RAMP.length - 1);
  const [from, to] = [RAMP[Math.floor(at)], RAMP[Math.floor(at) + 1]].map(channels);
  return hex(from.map((c, i) => Math.round(c + (to[i] - c) * (at % 1))));
}

const channels = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
const hex = (rgb) => `#${rgb.map((c) => c.toString(16).padStart(2, "0")).join("")}`;

/** The colour as it is drawn: on a dark page dark colours are mixed with white. */
function drawn(colour) {
  if (!dark()) return colour;
  const rgb = channels(colour);
  const light = (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) / 255;
  const share = Math.max(0, 0.62 - light) / Math.max(0.05, 1 - light);
  return hex(rgb.map((c) => Math.round(c + (255 - c) * share)));
}

/** A colour of the page's style. */
const styled = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
