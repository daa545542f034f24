/**
 * The security policy that the page was served with, against the listener's switches.
 *
 * They differ where the server did not know the listener yet: while it read the catalogue, or when
 * a link on another site led here (the strict cookie stays at home on that way); and where another
 * tab switched something.
 */

const TRIED = "musicrec-policy"; // the switches that the page was loaded again for

const served = document.documentElement.dataset;

/** Load the page again, once, where its policy is another; whether it is about to be. */
export function follow({ remote_media: remote, spotify }) {
  const wanted = `${word(remote)} ${word(spotify)}`;
  if (wanted === `${served.remoteMedia} ${served.spotify}`) {
    sessionStorage.removeItem(TRIED);
    return false;
  }
  if (sessionStorage.getItem(TRIED) === wanted) return false; // it does not help
  sessionStorage.setItem(TRIED, wanted);
  location.reload();
  return true;
}

function word(isOn) {
  return isOn ? "on" : "off";
}
