// The camera: a dialog that shows what it sees, and takes a photo of it.

import { $, complain } from "./page";

const SIDE = 8192; // pixels, more than cameras have: what is asked for, so that they give all that they have

const dialog = $<HTMLDialogElement>("camera");
const preview = $<HTMLVideoElement>("preview");
const shutter = $<HTMLButtonElement>("shutter");
const select = $<HTMLSelectElement>("camera-choice");

let stream: MediaStream | undefined;
let turn = 0; // a camera that starts in an earlier turn comes too late, and is stopped
let wanted = ""; // the id of the camera that was chosen

/** Shows the buttons, where the browser lets pages ask for a camera: on HTTPS and on `localhost`. */
export function offerCamera(give: (photo: File) => void): void {
  if (navigator.mediaDevices?.getUserMedia === undefined) return;
  for (const button of document.querySelectorAll<HTMLButtonElement>("button.camera")) {
    button.hidden = false;
    button.addEventListener("click", open);
  }
  shutter.addEventListener("click", () => void take(give));
  select.addEventListener("change", () => {
    wanted = select.value;
    void start();
  });
  $("camera-cancel").addEventListener("click", close);
  dialog.addEventListener("close", () => {
    if (!dialog.open) stop(); // by the Escape key
  });
  addEventListener("pagehide", close);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && stream) close(); // not while the browser asks whether the page may
  });
  navigator.mediaDevices.addEventListener("devicechange", () => void offerCameras());
}

function open(): void {
  if ($("error").querySelector("button") === null) complain(""); // but not what has a way out
  dialog.showModal();
  void start();
}

function close(): void {
  stop(); // at once: the dialog tells later that it is closed
  dialog.close();
}

function stop(): void {
  turn++;
  if (stream) end(stream);
  stream = undefined;
  preview.srcObject = null;
  setReady(false);
}

function end(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

/** The button keeps the focus while it can do nothing yet, so it is not `disabled`. */
function setReady(ready: boolean): void {
  shutter.ariaDisabled = String(!ready);
  $("camera-status").textContent = ready ? "The photo stays on this device." : "Starting the camera …";
}

async function start(): Promise<void> {
  stop();
  const mine = turn;
  try {
    const found = await navigator.mediaDevices.getUserMedia({ video: constraints() });
    if (mine !== turn) return end(found);
    stream = found;
    if (document.hidden) return close();
    const track = found.getVideoTracks()[0]!;
    track.addEventListener("ended", () => mine === turn && fail("The camera has stopped: it was unplugged, or this page may no longer use it."));
    preview.classList.toggle("mirrored", track.getSettings().facingMode === "user");
    preview.srcObject = found;
    await preview.play();
    if (mine !== turn) return;
    setReady(true);
    await offerCameras();
  } catch (error) {
    if (mine === turn) fail(reason(error as Error));
  }
}

function constraints(): MediaTrackConstraints {
  const camera = wanted ? { deviceId: { exact: wanted } } : { facingMode: "environment" };
  return { ...camera, width: { ideal: SIDE }, height: { ideal: SIDE } };
}

function fail(text: string): void {
  wanted = ""; // the next try is not bound to a camera that may be gone
  close();
  complain(text);
}

function reason({ name, message }: Error): string {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return "This page may not use the camera. Allow it in the browser's settings for this site, and try again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No camera was found.";
    case "NotReadableError":
    case "AbortError":
      return "The camera could not be started: another program may be using it.";
    default:
      return `The camera could not be started: ${message}`;
  }
}

/** Cameras have names only once one of them may be used. */
async function offerCameras(): Promise<void> {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const current = stream?.getVideoTracks()[0]?.getSettings().deviceId;
  if (current === undefined) return;
  const cameras = devices.filter(({ kind }) => kind === "videoinput");
  select.replaceChildren(...cameras.map(({ label, deviceId }, i) => new Option(label || `Camera ${i + 1}`, deviceId)));
  select.value = current;
  $("cameras").hidden = cameras.length < 2;
}

/** The picture on view in all its pixels; not mirrored, as the preview may be. */
async function take(give: (photo: File) => void): Promise<void> {
  if (shutter.ariaDisabled === "true") return;
  const canvas = new OffscreenCanvas(preview.videoWidth, preview.videoHeight);
  canvas.getContext("2d")!.drawImage(preview, 0, 0);
  close();
  try {
    const photo = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
    give(new File([photo], `camera-${now()}.jpg`, { type: photo.type }));
  } catch (error) {
    complain(`The photo could not be taken: ${(error as Error).message}`);
  }
}

/** The local time, as `2026-11-30-201500`. */
function now(): string {
  const time = new Date();
  time.setMinutes(time.getMinutes() - time.getTimezoneOffset());
  return time.toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "");
}
