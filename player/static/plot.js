/** What is learnt, press by press: right guesses so far, and what was expected against what came. */

import { byId, el, svg } from "./dom.js";
import { LEARNER_NAMES, capital, learnerName, percent, several } from "./words.js";

export const PRESSES = 200; // that are asked for, at most

const DOTS = 60; // the last ones; more would be a blot
const ROWS = 12; // of the table
const SIZE = { width: 400, height: 128, left: 34, right: 8, top: 8, bottom: 20 };

/** Draw the answer to `GET /api/plot`, for the learner who recommends. */
export function show(data, recommender) {
  const place = byId("learnt-content");
  const presses = data.liked.length;
  if (!presses) {
    place.replaceChildren(
      el("p", { class: "quiet" }, "Press Like or Dislike, and you see here how well it knows you."),
    );
    return;
  }
  // As long as a learner is not there, the other one recommends.
  const learner =
    [recommender, ...LEARNER_NAMES].find((name) =>
      data.learners[name].expected.some((share) => share !== null),
    ) ?? recommender;
  const wasOpen = place.querySelector("details")?.open ?? false;
  const details = table(data, learner);
  details.open = wasOpen;
  place.replaceChildren(
    el("h3", {}, "Right guesses so far"),
    legend(),
    guesses(data),
    el("p", { class: "sum quiet" }, guessText(data)),
    el("h3", {}, `Expected by ${learnerName(learner)}, and given`),
    answers(data, learner),
    el("p", { class: "sum quiet" }, answerText(data, learner)),
    details,
  );
}

function guesses(data) {
  const size = data.liked.length;
  const chart = frame("Right guesses so far", guessText(data), data.first, size, [
    [1, "100 %"],
    [0.5, "50 %"],
    [0, "0 %"],
  ]);
  for (const name of LEARNER_NAMES) {
    const shares = data.learners[name].right_share;
    const points = shares.flatMap((share, i) => (share === null ? [] : [[x(i, size), y(share)]]));
    if (points.length === 1) points.push([points[0][0] + 4, points[0][1]]);
    chart.append(
      svg("polyline", {
        class: `line ${name}`,
        points: points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" "),
      }),
    );
  }
  return chart;
}

/** Which line is whose. Screen readers read the sentence below the plot instead. */
function legend() {
  return el(
    "p",
    { class: "legend quiet", "aria-hidden": "true" },
    ...LEARNER_NAMES.flatMap((name) => [
      svg(
        "svg",
        { class: "chart swatch", viewBox: "0 0 26 8" },
        svg("line", { class: `line ${name}`, x1: 2, x2: 24, y1: 4, y2: 4 }),
      ),
      learnerName(name),
    ]),
  );
}

function guessText(data) {
  const presses = data.first + data.liked.length - 1;
  const shares = LEARNER_NAMES.flatMap((name) => {
    const share = data.learners[name].right_share.at(-1);
    return share === null ? [] : [`${learnerName(name)} guessed ${percent(share)}`];
  });
  const liked = percent(data.liked_share.at(-1));
  return `After ${several(presses, "press", "presses")} ${shares.join(", ")} right; you liked ${liked}.`;
}

function answers(data, learner) {
  const from = Math.max(0, data.liked.length - DOTS);
  const liked = data.liked.slice(from);
  const expected = data.learners[learner].expected.slice(from);
  const chart = frame(
    `Expected by ${learnerName(learner)}, and given`,
    answerText(data, learner),
    data.first + from,
    liked.length,
    [
      [1, "like"],
      [0.5, ""],
      [0, "dislike"],
    ],
    44,
  );
  expected.forEach((share, i) => {
    if (share === null) return;
    chart.append(
      svg("circle", {
        class: liked[i] ? "liked" : "disliked",
        cx: x(i, liked.length, 44).toFixed(1),
        cy: y(share).toFixed(1),
        r: liked[i] ? 4.4 : 3.8,
      }),
    );
  });
  return chart;
}

function answerText(data, learner) {
  const expected = data.learners[learner].expected;
  const mean = (wanted) => {
    const found = expected.filter((share, i) => share !== null && data.liked[i] === wanted);
    return found.length ? percent(found.reduce((a, b) => a + b) / found.length) : null;
  };
  const [liked, disliked] = [mean(true), mean(false)];
  const parts = [];
  if (liked) parts.push(`what you liked (full dots) was expected at ${liked} on average`);
  if (disliked) parts.push(`what you disliked (rings) at ${disliked}`);
  return parts.length ? `${capital(parts.join(", "))}.` : "It was not there yet.";
}

/** The last presses in words, for whoever does not see the dots. */
function table(data, learner) {
  const last = data.liked.length - 1;
  const rows = [];
  for (let i = last; i >= 0 && rows.length < ROWS; i--) {
    const share = data.learners[learner].expected[i];
    rows.push(
      el(
        "tr",
        {},
        el("th", { scope: "row" }, String(data.first + i)),
        el("td", {}, share === null ? "not there yet" : percent(share)),
        el("td", {}, data.liked[i] ? "like" : "dislike"),
      ),
    );
  }
  const heads = ["Press", "Like expected", "Given"];
  return el(
    "details",
    {},
    el("summary", {}, "The last presses as a table"),
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, ...rows),
    ),
  );
}

function frame(name, text, first, size, marks, left = SIZE.left) {
  const chart = svg("svg", {
    class: "chart",
    role: "img",
    viewBox: `0 0 ${SIZE.width} ${SIZE.height}`,
    "aria-label": `${name}. ${text}`,
  });
  for (const [share, label] of marks) {
    chart.append(
      svg("line", {
        class: share === 0.5 ? "half" : "grid",
        x1: left,
        x2: SIZE.width - SIZE.right,
        y1: y(share),
        y2: y(share),
      }),
      svg("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, label),
    );
  }
  chart.append(
    svg("text", { x: left, y: SIZE.height - 4 }, `press ${first}`),
    svg(
      "text",
      { x: SIZE.width - SIZE.right, y: SIZE.height - 4, "text-anchor": "end" },
      size > 1 ? String(first + size - 1) : "",
    ),
  );
  return chart;
}

function x(index, size, left = SIZE.left) {
  const width = SIZE.width - left - SIZE.right - 12;
  return left + 6 + (size < 2 ? 0 : (width * index) / (size - 1));
}

function y(share) {
  return SIZE.top + (1 - share) * (SIZE.height - SIZE.top - SIZE.bottom);
}
