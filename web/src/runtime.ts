// ONNX Runtime Web, and the graphs of the networks. Knows nothing of photos.

import type * as Ort from "onnxruntime-web/wasm";
import type { Folder, Network } from "./protocol";

export type Graph = "whole" | "measure" | "tile" | "predict";
type Tensors = Record<string, Ort.Tensor>;

const MOST_THREADS = 8;
const CLOSE = 2 / 255; // of a graphics card to the processor

export type Device = "wasm" | "webgpu";

export class Runtime {
  private networks = new Map<Folder, Promise<Graphs>>();
  private engines = new Map<Device, typeof Ort>();

  private constructor(
    private ort: typeof Ort,
    private base: URL,
  ) {
    this.engines.set("wasm", ort);
  }

  /** Loads the runtime, and the graph by which photos are painted in the styles of the page. */
  static async load(base: URL, threads: number): Promise<Runtime> {
    const styles = Graphs.load(new URL("network/", base));
    const [ort, binary] = await Promise.all([
      import(/* @vite-ignore */ new URL("ort/ort.wasm.min.js", base).href) as Promise<typeof Ort>,
      bytes(new URL("ort/runtime.bin", base)),
    ]);
    ort.env.wasm.wasmPaths = { mjs: new URL("ort/ort-wasm-simd-threaded.js", base).href };
    ort.env.wasm.wasmBinary = binary;
    const most = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
    ort.env.wasm.numThreads = threads > 0 ? Math.min(threads, most) : most;
    const runtime = new Runtime(ort, base);
    runtime.networks.set("network", styles);
    await (await styles).session(ort, "wasm", "whole");
    return runtime;
  }

  get threads(): number {
    return this.ort.env.wasm.numThreads ?? 1;
  }

  /** What a network's file says; it is loaded when it is first asked for. */
  async network(folder: Folder): Promise<Network> {
    return (await this.graphs(folder)).network;
  }

  get device(): Device {
    return this.engines.has("webgpu") ? "webgpu" : "wasm";
  }

  /** Paints with the graphics card from now on, if there is one that paints what the processor paints. */
  async useGraphicsCard(base: URL): Promise<void> {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) return;
    const [ort, binary] = await Promise.all([
      import(/* @vite-ignore */ new URL("ort/ort.webgpu.min.js", base).href) as Promise<typeof Ort>,
      bytes(new URL("ort/webgpu.bin", base)),
    ]);
    ort.env.wasm.wasmPaths = { mjs: new URL("ort/ort-wasm-simd-threaded.asyncify.js", base).href };
    ort.env.wasm.wasmBinary = binary;
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = "error"; // it warns that what concerns sizes stays with the processor
    const [width, height] = [96, 64];
    const pattern = Float32Array.from({ length: 3 * width * height }, (_, i) => 0.5 + 0.5 * Math.sin(0.37 * i));
    const count = (await this.network("network")).numbers;
    const inputs = {
      image: this.tensor(pattern, [1, 3, height, width]),
      style: this.tensor(new Float32Array(count).fill(1 / count), [1, count]),
    };
    const expected = (await this.run("network", "whole", inputs)).stylized!.data as Float32Array;
    this.engines.set("webgpu", ort);
    const found = (await this.run("network", "whole", inputs)).stylized!.data as Float32Array;
    const apart = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0);
    if (!(apart <= CLOSE)) this.engines.delete("webgpu"); // nor NaN
  }

  /** Runs a graph: on the graphics card if that is used, and if it fails there, on the processor from then on. */
  async run(folder: Folder, graph: Graph, inputs: Tensors): Promise<Tensors> {
    const graphs = await this.graphs(folder);
    const card = this.engines.get("webgpu");
    if (card !== undefined) {
      try {
        return (await (await graphs.session(card, "webgpu", graph)).run(inputs)) as Tensors;
      } catch {
        this.engines.delete("webgpu");
      }
    }
    return (await (await graphs.session(this.ort, "wasm", graph)).run(inputs)) as Tensors;
  }

  tensor(values: Float32Array, shape: number[]): Ort.Tensor {
    return new this.ort.Tensor("float32", values, shape);
  }

  private graphs(folder: Folder): Promise<Graphs> {
    let graphs = this.networks.get(folder);
    if (graphs === undefined) {
      graphs = Graphs.load(new URL(`${folder}/`, this.base));
      graphs.catch(() => this.networks.delete(folder)); // to be tried again
      this.networks.set(folder, graphs);
    }
    return graphs;
  }
}

/** The graphs of a network, which share its weights. */
class Graphs {
  private sessions = new Map<string, Promise<Ort.InferenceSession>>();

  private constructor(
    readonly network: Network,
    private base: URL,
    private weights: Uint8Array,
  ) {}

  static async load(base: URL): Promise<Graphs> {
    const [weights, network] = await Promise.all([
      bytes(new URL("weights.bin", base)),
      got(new URL("network.json", base)).then((answer) => answer.json() as Promise<Network>),
    ]);
    return new Graphs(network, base, weights);
  }

  session(ort: typeof Ort, device: Device, graph: Graph): Promise<Ort.InferenceSession> {
    const key = `${device} ${graph}`;
    let session = this.sessions.get(key);
    if (session === undefined) {
      session = bytes(new URL(`${graph}.onnx`, this.base)).then((model) =>
        ort.InferenceSession.create(model, {
          executionProviders: [device],
          graphOptimizationLevel: "all",
          externalData: [{ path: "weights.bin", data: this.weights }],
        }),
      );
      session.catch(() => this.sessions.delete(key));
      this.sessions.set(key, session);
    }
    return session;
  }
}

async function got(url: URL): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(url);
  } catch {
    throw new Error(`${url.pathname} could not be loaded: there is no network`);
  }
  if (!answer.ok) throw new Error(`${url.pathname} is missing on this server (${answer.status})`);
  return answer;
}

/** The bytes of a file; one that is packed with gzip is unpacked. */
async function bytes(url: URL): Promise<Uint8Array> {
  const data = new Uint8Array(await (await got(url)).arrayBuffer());
  if (data[0] !== 0x1f || data[1] !== 0x8b) return data;
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
