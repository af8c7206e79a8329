// The part of WebAssembly's JavaScript interface that the house uses. TypeScript knows it only
// with the types of a browser, which would bring `window` and `document` to every file.

declare namespace WebAssembly {
  interface MemoryDescriptor {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: true;
  }

  /** Linear memory, always shared here; its bytes never move, because it never grows. */
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: SharedArrayBuffer;
  }

  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }

  class Instance {
    constructor(
      module: Module,
      imports: Readonly<Record<string, Readonly<Record<string, Memory>>>>,
    );
    readonly exports: object;
  }
}
