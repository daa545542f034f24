/** Why this track: the terms of the reward under what was asked for, and what each learner expects. */

import { byId, el } from "./dom.js";
import { LEARNER_NAMES, capital, learnerName, percent, range, several, signed } from "./words.js";

const TERMS = ["artist", "genre", "danceability"];

/** Show it for a track; null: none. */
export function show(track) {
  const place = byId("why-content");
  if (!track) {
    place.replaceChildren(el("p", { class: "quiet" }, "No track is shown."));
    return;
  }
  place.replaceChildren(
    el("h3", {}, "By what you asked for"),
    el("div", { class: "rows" }, ...track.why.terms.map((term) => termRow(term, track))),
    sum(track.why),
    el("h3", {}, "By what each expects of you"),
    el("div", { class: "rows" }, ...expectations(track)),
    ...taste(track),
  );
}

function termRow({ term, wanted, met, reward }, track) {
  if (wanted === null) {
    const label = el("span", {}, capital(term), el("span", { class: "quiet" }, " left open"));
    return row(label, "0", null, null);
  }
  const asked = term === "danceability" ? range(wanted) : wanted;
  const has = {
    artist: met ? "it is" : "it is not",
    genre: met ? "it is" : "it is not",
    danceability: `it has ${known(track.features.danceability)}`,
  }[term];
  return row(capital(term), signed(reward), balance(reward), `you asked for ${asked}: ${has}`);
}

function sum({ terms, reward }) {
  const stated = terms.filter((term) => term.wanted !== null).length;
  const text = stated
    ? `A Like would be worth ${signed(reward)} of ${signed(stated)} at most.`
    : "You asked for nothing in particular: what you press decides.";
  return el("p", { class: "sum quiet" }, text);
}

function expectations(track) {
  return LEARNER_NAMES.map((name) => {
    const found = track.why.learners[name];
    const label = capital(learnerName(name));
    if (!found) return row(label, "not there yet", null, null);
    return row(
      label,
      percent(found.like_probability),
      bar(found.like_probability, name),
      name === "tabular" ? tabularText(found) : duelingText(found),
    );
  });
}

function tabularText({ visits, q_like: like, q_dislike: dislike }) {
  if (!visits) return "has judged nothing of this kind with you yet";
  const values = `a Like is worth ${signed(like, 2)}, a Dislike ${signed(dislike, 2)}`;
  return `${several(visits, "press", "presses")} on this kind of track; ${values}`;
}

function duelingText(found) {
  const weight = found.policy_weight;
  const policy = `policy for everybody ${percent(found.policy_probability)}`;
  const personal = `your own taste ${percent(found.personal_probability)}`;
  return `${policy}, ${personal}; weighed ${percent(weight)} to ${percent(1 - weight)}`;
}

/** What the presses say of those parts of the wish that were left open. */
function taste(track) {
  const expected = track.why.learners["dueling-dqn"]?.expected_terms;
  const open = track.why.terms.filter((term) => term.wanted === null).map((term) => term.term);
  if (!expected || !open.length) return [];
  const rows = TERMS.filter((term) => open.includes(term)).map((term) =>
    row(`Its ${term}`, inWords(expected[term]), balance(expected[term]), null),
  );
  return [
    el("h3", {}, "What your presses say of it"),
    el("div", { class: "rows" }, ...rows),
  ];
}

function inWords(value) {
  if (value >= 0.6) return "very likely yours";
  if (value >= 0.2) return "likely yours";
  if (value > -0.2) return "undecided";
  if (value > -0.6) return "unlikely yours";
  return "very unlikely yours";
}

function row(label, value, picture, text) {
  return el(
    "div",
    { class: "row" },
    label instanceof Element ? label : el("span", {}, label),
    el("span", { class: "value" }, value),
    picture,
    text === null ? null : el("span", { class: "quiet" }, text),
  );
}

/** A share of 0..1; the number beside it says the same, so screen readers pass it over. */
function bar(share, kind) {
  const part = el("span", { class: kind });
  part.style.setProperty("left", "0");
  part.style.setProperty("width", `${100 * Math.min(1, Math.max(0, share))}%`);
  return el("span", { class: "bar", "aria-hidden": "true" }, part);
}

/** A number of -1..1, from the middle to the right or to the left. */
function balance(value) {
  const half = 50 * Math.min(1, Math.abs(value));
  const part = el("span", { class: value >= 0 ? "plus" : "minus" });
  part.style.setProperty("left", `${value >= 0 ? 50 : 50 - half}%`);
  part.style.setProperty("width", `${half}%`);
  return el("span", { class: "bar", "aria-hidden": "true" }, part, el("span", { class: "middle" }));
}

function known(value) {
  return value === null || value === undefined ? "none that is known" : value.toFixed(2);
}
