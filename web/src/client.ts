// The worker as the page sees it: one request at a time, which can be given up.

import type { Reply, Request } from "./protocol";

export class Stopped extends Error {}

/** The painter could not be loaded: another try needs a new page. */
export class Unloaded extends Error {}

export type Last = Extract<Reply, { kind: "after" | "encoded" | "predicted" }>;

const LAST = ["after", "encoded", "predicted"];

export class Painter {
  private worker: Worker;
  private waiting: { resolve: (reply: Last) => void; reject: (error: Error) => void } | undefined;
  private failure: Error | undefined;

  /**
   * @param watch Gets all replies that are not the last of a request.
   * @param threads At most; 0 for as many as there are.
   * @param device `wasm` leaves a graphics card alone.
   */
  constructor(
    private watch: (reply: Reply) => void,
    private threads: number,
    private device: string,
  ) {
    this.worker = this.begun();
  }

  get busy(): boolean {
    return this.waiting !== undefined;
  }

  /** The last reply to a request; whatever was asked before is given up. */
  ask(request: Request): Promise<Last> {
    this.stop();
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.worker.postMessage(request);
    });
  }

  /** Gives up what is being done. A pass of the network cannot be interrupted, so its worker ends. */
  stop(): void {
    if (this.waiting === undefined) return;
    this.worker.terminate();
    this.worker = this.begun();
    this.settle((waiting) => waiting.reject(new Stopped("stopped")));
  }

  private begun(): Worker {
    const worker = new Worker(new URL("./painter.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      if (LAST.includes(data.kind)) this.settle((waiting) => waiting.resolve(data as Last));
      else if (data.kind === "failed") this.settle((waiting) => waiting.reject(new Error(data.message)));
      else if (data.kind === "unloaded") this.unloaded(data.message);
      this.watch(data);
    };
    worker.postMessage({ kind: "begin", threads: this.threads, device: this.device } satisfies Request);
    worker.onerror = (event) => {
      event.preventDefault();
      const message = "The painter could not be loaded, or this browser cannot run it";
      this.unloaded(message);
      this.watch({ kind: "unloaded", message });
    };
    return worker;
  }

  private unloaded(message: string): void {
    const failure = (this.failure = new Unloaded(message));
    this.settle((waiting) => waiting.reject(failure));
  }

  private settle(how: (waiting: NonNullable<Painter["waiting"]>) => void): void {
    const waiting = this.waiting;
    this.waiting = undefined;
    if (waiting) how(waiting);
  }
}
