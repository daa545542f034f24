/** The preview: play, pause, seek and volume; a clip made here where a catalogue's fails. */

import { byId, safeLink, setIcon, setText } from "./dom.js";
import { clock } from "./words.js";

const MADE_SECONDS = 10; // of a clip made here, known before it is loaded
const VOLUME = "musicrec-volume";

const audio = byId("audio");
const play = byId("play");
const seek = byId("seek");
const mute = byId("mute");
const volume = byId("volume");

let preview = null; // {made, catalogue}
let isMade = true;
let wantsSound = false; // play the next track's as well
let isSeeking = false;
let seekTo = null; // [s], until the sound is loaded
let onSource = () => {};

/** Tell `source(isMade)` whose sound it is, and `failed()` when there is none. */
export function setUp({ source, failed }) {
  onSource = source;
  setVolume(Number(localStorage.getItem(VOLUME) ?? 0.8));
  play.addEventListener("click", toggle);
  // A clip is composed when it is first asked for, which takes a moment: the one before the press.
  for (const event of ["pointerenter", "focus"]) play.addEventListener(event, fetchAhead);
  mute.addEventListener("click", () => {
    audio.muted = !audio.muted;
    showVolume();
  });
  volume.addEventListener("input", () => {
    audio.muted = false;
    setVolume(Number(volume.value));
    localStorage.setItem(VOLUME, volume.value);
  });
  seek.addEventListener("input", () => {
    isSeeking = true;
    showTime(Number(seek.value));
  });
  seek.addEventListener("change", () => {
    isSeeking = false;
    goTo(Number(seek.value));
  });
  for (const event of ["play", "pause", "ended", "emptied"]) {
    audio.addEventListener(event, showButton);
  }
  for (const event of ["timeupdate", "durationchange", "emptied", "ended"]) {
    audio.addEventListener(event, () => {
      if (!isSeeking && seekTo === null) showTime(audio.currentTime);
    });
  }
  audio.addEventListener("loadedmetadata", () => {
    if (seekTo === null) return;
    audio.currentTime = Math.min(seekTo, audio.duration);
    seekTo = null;
  });
  audio.addEventListener("error", () => {
    if (!preview) return; // of a track that is gone
    if (!isMade) use(preview.made, true);
    else if (wantsSound) {
      wantsSound = false;
      failed();
    }
  });
}

/** Take the preview of another track; it plays if the one before did. */
export function load(next) {
  if (preview && preview.made === next.made && preview.catalogue === next.catalogue) return;
  preview = next;
  seekTo = null;
  const remote = safeLink(next.catalogue);
  use(remote ?? next.made, !remote);
}

/** Be silent, as there is no track. */
export function unload() {
  preview = null;
  audio.pause();
  audio.removeAttribute("src");
}

/** Play or pause. */
export function toggle() {
  if (!preview) return;
  wantsSound = audio.paused;
  fetchAhead(); // who listens to one track may well listen to the next
  if (wantsSound) start();
  else audio.pause();
}

function fetchAhead() {
  audio.preload = "auto";
}

function use(link, made) {
  isMade = made;
  audio.src = safeLink(link) ?? "";
  onSource(made);
  showTime(0);
  if (wantsSound) start();
}

function start() {
  audio.play().catch((error) => {
    // A browser may refuse sound that nobody asked for; a new track interrupts the one before.
    if (error.name === "NotAllowedError") wantsSound = false;
    showButton();
  });
}

function goTo(seconds) {
  if (audio.readyState >= HTMLMediaElement.HAVE_METADATA) {
    audio.currentTime = seconds;
  } else {
    seekTo = seconds;
    audio.load();
  }
}

function setVolume(share) {
  audio.volume = Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0.8;
  showVolume();
}

function duration() {
  return Number.isFinite(audio.duration) ? audio.duration : MADE_SECONDS;
}

function showButton() {
  const isPlaying = !audio.paused && !audio.ended;
  setIcon(play, isPlaying ? "pause" : "play");
  play.setAttribute("aria-label", isPlaying ? "Pause" : "Play");
}

function showTime(seconds) {
  const whole = duration();
  seek.max = String(whole);
  seek.value = String(seconds);
  seek.style.setProperty("--fill", `${(100 * seconds) / whole}%`);
  seek.setAttribute("aria-valuetext", `${clock(seconds)} of ${clock(whole)}`);
  setText(byId("time"), `${clock(seconds)} / ${clock(whole)}`);
}

function showVolume() {
  const share = audio.muted ? 0 : audio.volume;
  volume.value = String(share);
  volume.style.setProperty("--fill", `${100 * share}%`);
  volume.setAttribute("aria-valuetext", `${Math.round(100 * share)} per cent`);
  mute.setAttribute("aria-pressed", String(audio.muted));
  setIcon(mute, audio.muted || audio.volume === 0 ? "mute" : "sound");
}
