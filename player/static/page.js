/** The page: what is pressed goes to the server, what it answers is shown. */

import { ask, inTurn, insist, newId, onWaiting, Refusal, tryNow } from "./api.js";
import * as audio from "./audio.js";
import { byId, setEnabled, setText } from "./dom.js";
import * as keys from "./keys.js";
import * as lists from "./lists.js";
import * as noneLeft from "./none_left.js";
import { announce, stopWaiting, tell, wait } from "./notice.js";
import * as plot from "./plot.js";
import * as policy from "./policy.js";
import * as preference from "./preference.js";
import * as settings from "./settings.js";
import * as track from "./track.js";
import * as unsent from "./unsent.js";
import * as why from "./why.js";
import { capital, sentence, several, trackName } from "./words.js";

const LOOK_AFTER = 150; // [ms] after a press: lists and plot do not delay the next track
const ASK_AGAIN = 1000; // [ms] how far the training is

const ANSWERS_AGAIN = "The player answers again.";

const WISH = "/api/preference";
const SETTINGS = "/api/settings";

const like = byId("like");
const dislike = byId("dislike");
const undo = byId("undo");
const generate = byId("generate");

let state = null;
let status = null;
let isBusy = false;
let isFollowing = false;
let looking = 0;
let looks = 0;

/** How often something was changed, by path of the API. */
const newest = {};

// --- What is shown -------------------------------------------------------------------------------

function show(next) {
  const hadFocus = document.activeElement;
  state = next;
  preference.show(state);
  track.show(state.track);
  why.show(state.track);
  lists.showCounts(state);
  settings.show(state, status);
  for (const input of byId("learner").querySelectorAll("input")) {
    input.checked = input.value === state.learner;
  }
  byId("stage").setAttribute("aria-busy", "false");
  byId("stage").setAttribute("aria-labelledby", state.track ? "title" : "none-left-title");
  setEnabled(undo, state.last_press !== null);
  undo.title = state.last_press ? `Takes back: ${trackName(state.last_press.track)}` : "";
  setEnabled(generate, true);
  document.title = state.track ? `${trackName(state.track)} · MusicRec` : "MusicRec player";
  noneLeft.show(state);
  keepFocus(hadFocus);
}

/** A button that vanished had the focus: it goes to the heading of what came in its place. */
function keepFocus(focused) {
  if (document.activeElement === focused && !isHidden(focused)) return;
  byId(state.track ? "title" : "none-left-title").focus({ preventScroll: true });
}

function isHidden(element) {
  return element !== document.body && element?.closest("[hidden]") !== null;
}

/** Lists and plot, a moment later and once for several presses. */
function lookSoon() {
  clearTimeout(looking);
  looking = setTimeout(look, LOOK_AFTER);
}

async function look() {
  const number = ++looks;
  try {
    const [data, found] = await Promise.all([
      ask("GET", `/api/plot?n=${plot.PRESSES}`),
      lists.latest(),
    ]);
    if (number !== looks) return; // a later look's answer may have come first
    plot.show(data, state.learner);
    lists.show(found);
  } catch {
    // They are looked at again after the next press, which waits for the server.
  }
}

// --- What is done --------------------------------------------------------------------------------

/** Do one thing at a time; what is pressed meanwhile would be meant for a track not yet seen. */
async function act(task) {
  if (isBusy) return;
  isBusy = true;
  byId("stage").setAttribute("aria-busy", "true");
  try {
    await inTurn(task);
    stopWaiting(ANSWERS_AGAIN); // of what was given up before
    lookSoon();
  } catch (error) {
    await failed(error);
  } finally {
    isBusy = false;
    byId("stage").setAttribute("aria-busy", "false");
  }
}

async function failed(error) {
  if (!(error instanceof Refusal)) throw error;
  if (error.isFailure || !state) {
    giveUp(error);
    return;
  }
  tell(sentence(error.message));
  try {
    if (error.state) show(error.state);
    else if (error.status === 401) show(await insist("POST", "/api/session", {}));
    else show(await inTurn(() => insist("GET", "/api/state"))); // what was switched goes back
  } catch (other) {
    giveUp(other);
  }
}

/** Say what to do; nothing more is tried by itself. */
function giveUp(error) {
  const kept = unsent.kept() ? " What you pressed is kept, and sent again then." : "";
  wait(
    `${sentence(error.message)} Nothing is lost: load the page again.${kept} If this comes back, ` +
      "start the player anew.",
    () => location.reload(),
  );
  if (state) show(state); // what was switched goes back
}

function press(isLiked) {
  if (!state?.track) return;
  const sent = { press_id: newId(), track: state.track.key, liked: isLiked };
  const name = trackName(state.track);
  const start = performance.now();
  return act(async () => {
    if (state.track?.key !== sent.track) {
      tell("Another track has come meanwhile: nothing was pressed.");
      return;
    }
    show(await unsent.send(sent));
    measure(start);
    const next = state.track ? `Next: ${trackName(state.track)}.` : noneLeft.spoken(state);
    announce(`${isLiked ? "Liked" : "Disliked"} ${name}. ${next}`);
  });
}

/** From a press to the frame that shows the next track, for whoever measures it. */
function measure(start) {
  const note = (name) => performance.measure(name, { start, end: performance.now() });
  requestAnimationFrame(() => setTimeout(() => note("press-to-next")));
  track.pictureIsThere().then(() => note("press-to-artwork"), () => {});
}

function takeBack() {
  if (!state?.last_press) return;
  const { press_id: id, track: before } = state.last_press;
  return act(async () => {
    show(await insist("POST", "/api/undo", { press_id: id }));
    tell(`Taken back: ${trackName(before)}.`);
  });
}

function compose() {
  if (!state) return;
  const id = newId();
  return act(async () => {
    show(await insist("POST", "/api/generate", { clip_id: id }));
    // Asked for again, it may have been judged in another tab meanwhile.
    if (state.track?.kind === "generated") announce(`${state.track.title} is made for you.`);
  });
}

/** Send what shall be so from now on. The last one counts, also while another is on its way. */
function change(path, wish) {
  const number = (newest[path] = (newest[path] ?? 0) + 1);
  const isOld = () => number !== newest[path];
  return inTurn(async () => {
    if (isOld()) return;
    const next = await insist("PUT", path, wish);
    if (isOld()) return; // its successor's answer is shown instead
    // Any other answer tells of the wish before the one that is being made.
    if (path === WISH) preference.settle();
    show(next);
    announce(
      state.track
        ? `${several(state.remaining, "track")} left. ${trackName(state.track)}.`
        : noneLeft.spoken(state),
    );
    lookSoon();
  }).catch((error) => {
    if (path === WISH && !isOld()) preference.settle();
    return failed(error);
  });
}

/** The page's security policy follows the settings: nothing is shown before it is loaded again. */
function changeSettings(wish) {
  const number = (newest[SETTINGS] = (newest[SETTINGS] ?? 0) + 1);
  return inTurn(() => insist("PUT", SETTINGS, wish)).then(() => {
    if (number === newest[SETTINGS]) location.reload(); // it would cut off one on its way
  }, failed);
}

function reset() {
  return act(async () => {
    show(await insist("POST", "/api/reset", {}));
    unsent.forget();
    tell("Your profile is empty again.");
    byId("title").focus({ preventScroll: true });
  });
}

// --- Beginning -----------------------------------------------------------------------------------

function setUp() {
  onWaiting({
    waiting(seconds, refusal) {
      if (refusal?.code === "starting" && !state) return; // the page says so already
      const what = refusal?.isFailure ? "failed" : "does not answer";
      wait(`The player ${what}. Nothing is lost: trying again in ${seconds} s.`, tryNow);
    },
    answered() {
      stopWaiting(ANSWERS_AGAIN);
      follow(); // it may have been started anew, and be loading what it has learnt
    },
  });
  audio.setUp({ source: track.showSource, failed: () => tell("This clip cannot be played.") });
  preference.setUp((wish) => change(WISH, wish));
  lists.setUp({
    get: (path) => ask("GET", path),
    failed: () => tell("More of this list did not come: press again."),
  });
  settings.setUp({ change: changeSettings, reset });
  like.addEventListener("click", () => press(true));
  dislike.addEventListener("click", () => press(false));
  for (const button of [like, dislike]) {
    // Enter that is held would go on judging tracks that nobody has looked at.
    button.addEventListener("keydown", (event) => {
      if (event.repeat && event.key === "Enter") event.preventDefault();
    });
  }
  undo.addEventListener("click", takeBack);
  generate.addEventListener("click", compose);
  byId("learner").addEventListener("change", (event) =>
    change("/api/learner", { learner: event.target.value }),
  );
  keys.listen(
    {
      l: () => press(true),
      ArrowRight: () => press(true),
      d: () => press(false),
      ArrowLeft: () => press(false),
      u: takeBack,
      g: compose,
      " ": audio.toggle,
      "/": preference.focusSearch,
      "?": settings.open,
    },
    settings.keysAreOn,
  );
  document.addEventListener("visibilitychange", catchUp);
}

/** Another tab, or another program, may have pressed meanwhile. */
async function catchUp() {
  if (document.hidden || !state || isBusy) return;
  try {
    const now = await inTurn(() => ask("GET", "/api/state")); // or an older state comes last
    if (isBusy || policy.follow(now.settings)) return;
    const isOther = now.presses !== state.presses || now.track?.key !== state.track?.key;
    show(now);
    if (isOther) lookSoon();
  } catch {
    // The next press tells.
  }
}

/** Wait for the catalogue, then follow the training. */
async function follow() {
  if (isFollowing) return;
  isFollowing = true;
  try {
    await untilReady();
  } catch (error) {
    await failed(error);
  } finally {
    isFollowing = false;
  }
}

async function untilReady() {
  let hadDueling = null;
  for (;;) {
    status = await insist("GET", "/api/status");
    showStatus();
    if (status.catalogue && !state) await greet();
    const hasDueling = status.learners["dueling-dqn"];
    if (state && hadDueling === false && hasDueling) await catchUp();
    hadDueling = hasDueling;
    if (status.phase === "ready" || status.phase === "failed") return;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN));
  }
}

async function greet() {
  const own = await insist("POST", "/api/session", {});
  if (policy.follow(own.settings)) return;
  show(own);
  preference.loadGenres(() => insist("GET", "/api/genres")).catch(failed);
  const press = unsent.kept();
  if (press) await act(async () => show(await unsent.send(press)));
  lookSoon();
}

function showStatus() {
  const { catalogue, phase } = status;
  byId("training").hidden = phase === "ready";
  const message = capital(status.message);
  setText(
    byId("training-message"),
    phase === "training" ? `${message}. Until then the table recommends.` : `${message}.`,
  );
  byId("training-progress").hidden = phase === "failed";
  byId("training-progress").value = status.progress;
  setText(byId("version"), `MusicRec ${status.version}`);
  if (catalogue) {
    setText(
      byId("catalogue"),
      `${catalogue.name}, ${several(catalogue.tracks, "track")}`,
    );
  } else if (phase === "failed") {
    setText(byId("title"), "The player cannot start");
    setText(byId("artists"), message);
  }
}

setUp();
follow();
