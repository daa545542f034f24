/** What was liked and what was pressed, in two tabs. */

import { byId, el, icon, safeLink, setText } from "./dom.js";
import { artistsOf } from "./track.js";
import { count, percent } from "./words.js";

const PAGE = 50; // presses shown or asked for at a time

const tabs = [byId("tab-liked"), byId("tab-history")];

/** Presses that have an item already: its picture is not loaded twice. */
const items = new Map();

let liked = [];
let likedShown = PAGE;
let pressed = [];
let load = null;

/** `get(path)` answers a request of the API; `failed()` is told where more was asked for in vain. */
export function setUp({ get, failed }) {
  load = get;
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => select(index));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -index, End: tabs.length - 1 - index };
      if (!(event.key in step)) return;
      event.preventDefault();
      const next = (index + step[event.key] + tabs.length) % tabs.length;
      select(next);
      tabs[next].focus();
    });
  });
  byId("liked-more").addEventListener("click", () => moreLiked().catch(failed));
  byId("history-more").addEventListener("click", () => moreHistory().catch(failed));
}

/** Show the numbers of a state; the lists follow with `refresh`. */
export function showCounts(state) {
  setText(byId("liked-count"), count(state.liked));
  setText(byId("history-count"), count(state.presses));
}

/** Ask for both lists anew; `show` takes what comes. */
export async function latest() {
  const [history, likes] = await Promise.all([
    load(`/api/history?n=${PAGE}`),
    load(`/api/liked?n=${likedShown}`),
  ]);
  return { history, likes };
}

/** Show what `latest` gave. */
export function show({ history, likes }) {
  liked = likes.tracks;
  pressed = history.presses;
  const kept = new Set([...liked, ...pressed].map((press) => press.press_id));
  for (const id of items.keys()) if (!kept.has(id.slice(1))) items.delete(id);
  showLiked(likes.more);
  showHistory(history.more);
}

async function moreLiked() {
  const wanted = likedShown + PAGE;
  const { tracks, more } = await load(`/api/liked?n=${wanted}`);
  likedShown = wanted;
  liked = tracks;
  showLiked(more);
}

async function moreHistory() {
  const before = pressed;
  const { presses, more } = await load(`/api/history?n=${PAGE}&before=${before.at(-1).number}`);
  if (pressed !== before) return; // others came meanwhile, which these would not follow
  pressed = [...before, ...presses];
  showHistory(more);
}

function showLiked(more) {
  byId("liked-empty").hidden = liked.length > 0;
  byId("export").hidden = !liked.length;
  byId("liked-more").hidden = !more;
  fill("liked-list", liked, "l");
}

function showHistory(more) {
  byId("history-empty").hidden = pressed.length > 0;
  byId("history-note").hidden = !pressed.length;
  byId("history-more").hidden = !more;
  fill("history-list", pressed, "h");
}

function fill(id, presses, prefix) {
  byId(id).replaceChildren(
    ...presses.map((press) => {
      const key = prefix + press.press_id;
      if (!items.has(key)) items.set(key, item(press, prefix === "h"));
      return items.get(key);
    }),
  );
}

function item(press, withVerdict) {
  const { track } = press;
  return el(
    "li",
    {},
    el("img", {
      src: safeLink(track.artwork.made),
      alt: "",
      width: 44,
      height: 44,
      loading: "lazy",
      decoding: "async",
    }),
    el(
      "div",
      {},
      el("p", { class: "name", title: track.title }, track.title || "Untitled"),
      el("p", { class: "quiet" }, artistsOf(track)),
    ),
    withVerdict ? verdict(press) : null,
  );
}

function verdict({ liked: isLiked, expected, recommended_by: who }) {
  const share = expected[who] ?? null;
  const guess = share === null ? null : el("span", {}, percent(share));
  guess?.prepend(el("span", { class: "unseen" }, "expected at "));
  return el(
    "span",
    { class: `verdict ${isLiked ? "liked" : "disliked"}` },
    guess,
    icon(isLiked ? "like" : "dislike"),
    el("span", { class: "unseen" }, isLiked ? ", liked" : ", disliked"),
  );
}

function select(index) {
  tabs.forEach((tab, i) => {
    tab.setAttribute("aria-selected", String(i === index));
    tab.tabIndex = i === index ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = i !== index;
  });
}
