// Whether the page was built with the runtime for graphics cards.
declare const __WEBGPU__: boolean;

interface Navigator {
  readonly gpu?: { requestAdapter(): Promise<object | null> };
}

interface WorkerNavigator {
  readonly gpu?: { requestAdapter(): Promise<object | null> };
}
