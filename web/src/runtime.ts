// ONNX Runtime Web with WebAssembly, and the graphs of the network. Knows nothing of photos.

import type * as Ort from "onnxruntime-web/wasm";
import type { Network } from "./protocol";

export type Graph = "whole" | "measure" | "tile";

const MOST_THREADS = 8;

export class Runtime {
  private sessions = new Map<Graph, Promise<Ort.InferenceSession>>();

  private constructor(
    readonly ort: typeof Ort,
    readonly network: Network,
    private base: URL,
    private weights: Uint8Array,
  ) {}

  /** Loads the runtime, the weights and the graph for photos that are painted as a whole. */
  static async load(base: URL): Promise<Runtime> {
    const [ort, binary, weights, network] = await Promise.all([
      import(/* @vite-ignore */ new URL("ort/ort.wasm.min.mjs", base).href) as Promise<typeof Ort>,
      bytes(new URL("ort/runtime.bin", base)),
      bytes(new URL("network/weights.bin", base)),
      got(new URL("network/network.json", base)).then((answer) => answer.json() as Promise<Network>),
    ]);
    ort.env.wasm.wasmPaths = { mjs: new URL("ort/ort-wasm-simd-threaded.mjs", base).href };
    ort.env.wasm.wasmBinary = binary;
    ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
    const runtime = new Runtime(ort, network, base, weights);
    await runtime.session("whole");
    return runtime;
  }

  get threads(): number {
    return this.ort.env.wasm.numThreads ?? 1;
  }

  async run(graph: Graph, inputs: Record<string, Ort.Tensor>): Promise<Record<string, Ort.Tensor>> {
    const outputs = await (await this.session(graph)).run(inputs);
    return outputs as Record<string, Ort.Tensor>;
  }

  tensor(values: Float32Array, shape: number[]): Ort.Tensor {
    return new this.ort.Tensor("float32", values, shape);
  }

  private session(graph: Graph): Promise<Ort.InferenceSession> {
    let session = this.sessions.get(graph);
    if (session === undefined) {
      session = bytes(new URL(`network/${graph}.onnx`, this.base)).then((model) =>
        this.ort.InferenceSession.create(model, {
          executionProviders: ["wasm"],
          graphOptimizationLevel: "all",
          externalData: [{ path: "weights.bin", data: this.weights }],
        }),
      );
      this.sessions.set(graph, session);
    }
    return session;
  }
}

async function got(url: URL): Promise<Response> {
  const answer = await fetch(url);
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
