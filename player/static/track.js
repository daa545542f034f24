/** The track on the stage: artwork, title, what is known of it, its preview. */

import * as audio from "./audio.js";
import { byId, el, icon, safeLink, setText } from "./dom.js";
import { clock, list, percent, learnerName } from "./words.js";

const SPOTIFY = "https://open.spotify.com/embed/";
const GLOW = 16; // [pixels] the picture's part of the canvas, which blurs by being enlarged

const artwork = byId("artwork");
const glow = byId("glow");

let shown = null;

artwork.addEventListener("load", showGlow);
artwork.addEventListener("error", () => {
  if (!shown) return;
  if (artwork.dataset.made === "no") setArtwork(shown.artwork.made, true);
  else artwork.hidden = glow.hidden = true;
});

/** Show a track; null: none. */
export function show(track) {
  const isOther = !track || !shown || shown.key !== track.key;
  shown = track;
  for (const id of ["track", "player", "actions"]) byId(id).hidden = !track;
  byId("stage").classList.toggle("without-track", !track);
  if (!track) {
    audio.unload();
    byId("spotify").replaceChildren();
    return;
  }
  setText(byId("title"), track.title || "Untitled");
  setText(byId("artists"), artistsOf(track));
  byId("artists").hidden = !artistsOf(track);
  setText(byId("album"), track.album);
  byId("facts").replaceChildren(...facts(track));
  if (isOther) {
    const remote = safeLink(track.artwork.catalogue);
    setArtwork(remote ?? track.artwork.made, !remote);
    showSpotify(track);
  }
  audio.load(track.preview);
}

/** Say whose sound it is. */
export function showSource(isMade) {
  if (!shown) return;
  const made = byId("made");
  const isOurs = shown.kind === "generated";
  setText(
    made,
    isOurs
      ? "Composed by MusicRec for you. "
      : isMade
        ? "Ten seconds made by MusicRec from the track's features, not the original recording."
        : "Preview from the catalogue's own site.",
  );
  const links = [download(shown.downloads?.wav, "WAV"), download(shown.downloads?.midi, "MIDI")];
  const there = links.filter((link) => link !== null);
  if (there.length) made.append("Keep it: ", ...there.flatMap((link) => [link, " "]));
}

/** Settled when the picture can be drawn. */
export function pictureIsThere() {
  return artwork.decode();
}

/** Artists in a line; of a clip who made it. */
export function artistsOf(track) {
  if (track.kind === "generated") return "made for you by MusicRec";
  return list(track.artists);
}

function facts(track) {
  const found = track.genres.map((genre) => el("li", {}, genre));
  if (track.duration !== null && track.duration !== undefined) {
    found.push(
      el("li", {}, el("span", { class: "unseen" }, "duration "), clock(track.duration)),
    );
  }
  if (track.explicit) {
    found.push(
      el(
        "li",
        { class: "explicit" },
        el("span", { "aria-hidden": "true" }, "E"),
        el("span", { class: "unseen" }, "explicit"),
      ),
    );
  }
  if (track.expected !== null && track.expected !== undefined) {
    const who = learnerName(track.recommended_by);
    found.push(el("li", { class: "expected" }, `${who} expects a like: ${percent(track.expected)}`));
  }
  return found;
}

function setArtwork(link, isMade) {
  const address = safeLink(link);
  artwork.dataset.made = isMade ? "yes" : "no";
  artwork.alt = isMade ? "Artwork drawn by MusicRec" : "Artwork of the catalogue";
  artwork.hidden = glow.hidden = !address;
  if (address) artwork.src = address;
}

/** A filter that blurs would cost more than all else that a new track takes to be drawn. */
function showGlow() {
  const margin = (glow.width - GLOW) / 2;
  const context = glow.getContext("2d");
  context.clearRect(0, 0, glow.width, glow.height);
  context.drawImage(artwork, margin, margin, GLOW, GLOW);
}

function showSpotify(track) {
  const place = byId("spotify");
  place.replaceChildren();
  const embed = safeLink(track.spotify?.embed);
  if (!embed?.startsWith(SPOTIFY)) return;
  place.append(
    el("iframe", {
      src: embed,
      title: "Spotify's player",
      loading: "lazy",
      allow: "encrypted-media; fullscreen",
    }),
  );
}

function download(link, text) {
  const address = safeLink(link);
  if (!address) return null;
  return el("a", { href: address, download: true }, icon("save"), text);
}
