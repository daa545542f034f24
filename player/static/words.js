/** Numbers and names as people read them. */

const LEARNERS = { tabular: "the table", "dueling-dqn": "the dueling DQN" };

const COUNT = new Intl.NumberFormat("en-GB");

export const LEARNER_NAMES = Object.keys(LEARNERS);

export function learnerName(learner) {
  return LEARNERS[learner] ?? learner;
}

export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A reason of the server's as a sentence. */
export function sentence(text) {
  return `${capital(text)}.`.replace(/\.\.$/, ".");
}

export function count(number) {
  return COUNT.format(number);
}

/** "1 track", "2 tracks". */
export function several(number, word, words = `${word}s`) {
  return `${count(number)} ${number === 1 ? word : words}`;
}

export function percent(share) {
  return `${Math.round(100 * share)}\u00a0%`; // no line ends before the sign
}

/** Seconds as minutes and seconds. */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  return `${minutes}:${String(whole % 60).padStart(2, "0")}`;
}

/** A number with its sign, and a true minus. */
export function signed(number, digits = 0) {
  const text = Math.abs(number).toFixed(digits);
  if (Number(text) === 0) return text;
  return `${number > 0 ? "+" : "−"}${text}`;
}

export function range([low, high]) {
  return `${low.toFixed(2)} to ${high.toFixed(2)}`;
}

/** "a, b and c". */
export function list(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

/** A track in a sentence. */
export function trackName(track) {
  const title = track.title || "an untitled track";
  return track.artists.length ? `${title} by ${list(track.artists)}` : title;
}
