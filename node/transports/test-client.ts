import type { Socket } from 'node:net';
import type { MemoryTransport } from './memory.ts';

/** The client's end of any transport, as the compliance suite uses it. */
export interface ClientEnd {
  write(bytes: Uint8Array): void;
  /** Says the end of the client's bytes and goes on reading. */
  end(): void;
  reset(): void;
  pause(): void;
  resume(): void;
}

/** What a frame of the server says, as far as tests ask. */
export interface ServerFrame {
  readonly bytes: Buffer;
  readonly command: number;
  readonly operation: number;
  readonly status: number;
  readonly request: number;
  readonly commit: number;
  /** Of an eviction. */
  readonly reason: number;
  readonly body: Buffer;
}

/** Reads frames of the server for a test; promises in place of sleeps. */
export class TestClient {
  readonly end: ClientEnd;
  #bytes: Buffer = Buffer.alloc(0);
  readonly #frames: ServerFrame[] = [];
  readonly #waiting: ((frame: ServerFrame | null) => void)[] = [];
  readonly #onOver: () => void;
  #isOver = false;
  /** Resolves when the server said its end or the connection is gone. */
  readonly over: Promise<void>;

  constructor(end: ClientEnd) {
    this.end = end;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#onOver = resolve;
  }

  /** A client on a socket; below TLS lies another one, `raw`, on which it can be reset. */
  static ofSocket(socket: Socket, raw: Socket = socket): TestClient {
    const client = new TestClient({
      write: (bytes) => void socket.write(bytes),
      end: () => void socket.end(),
      reset: () => void raw.resetAndDestroy(),
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
    });
    socket.on('data', (chunk: Buffer) => client.onData(chunk));
    socket.on('end', () => client.onOver());
    socket.on('error', () => client.onOver());
    socket.on('close', () => client.onOver());
    return client;
  }

  /** A client on the other end of a pair in memory. */
  static ofMemory(transport: MemoryTransport): TestClient {
    const client = new TestClient({
      write: (bytes) => void transport.sendData(bytes),
      end: () => transport.sendClose(),
      reset: () => transport.sendReset(),
      pause: () => transport.sendPause(),
      resume: () => transport.sendResume(),
    });
    transport.start({
      onData: (chunk) => client.onData(chunk),
      onSent: () => {},
      onDrain: () => {},
      onEnd: () => client.onOver(),
      onClosed: () => client.onOver(),
    });
    return client;
  }

  /** Frames that arrived and were not asked for. */
  get framesCount(): number {
    return this.#frames.length;
  }

  send(...frames: readonly Uint8Array[]): void {
    if (!this.#isOver) for (const frame of frames) this.end.write(frame);
  }

  /** The next frame, or null when there will be none. */
  frame(): Promise<ServerFrame | null> {
    const frame = this.#frames.shift();
    if (frame !== undefined) return Promise.resolve(frame);
    if (this.#isOver) return Promise.resolve(null);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async ask(frame: Uint8Array): Promise<ServerFrame | null> {
    this.send(frame);
    return await this.frame();
  }

  onData(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 256 && this.#bytes.length >= this.#bytes.readUInt32LE(48)) {
      const bytes = this.#bytes.subarray(0, this.#bytes.readUInt32LE(48));
      this.#bytes = this.#bytes.subarray(bytes.length);
      const frame = parseFrame(bytes);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#frames.push(frame);
      else waiting(frame);
    }
  }

  onOver(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.end.end();
    for (const waiting of this.#waiting.splice(0)) waiting(null);
    this.#onOver();
  }
}

function parseFrame(bytes: Buffer): ServerFrame {
  return {
    bytes,
    command: bytes.readUInt8(60),
    operation: bytes.readUInt8(208),
    status: bytes.readUInt32LE(216),
    request: Number(bytes.readBigUInt64LE(200)),
    commit: Number(bytes.readBigUInt64LE(184)),
    reason: bytes.readUInt8(255),
    body: bytes.subarray(256),
  };
}

/** A request frame, by the numbers of the specification and not by our own encoder. */
export function requestFrame(fields: {
  readonly operation: number;
  readonly code?: number;
  readonly session?: number;
  readonly request?: number;
  readonly client?: number;
  readonly checksum?: bigint;
  readonly timestamp?: number;
  readonly command?: number;
  readonly body?: Uint8Array;
}): Buffer {
  const body = fields.body ?? Buffer.alloc(0);
  const frame = Buffer.alloc(256 + body.length);
  frame.writeUInt32LE(frame.length, 48);
  frame.writeUInt8(fields.command ?? 5, 60);
  frame.writeUInt8(fields.client ?? 0x77, 128);
  frame.writeBigUInt64LE(fields.checksum ?? 0n, 144);
  frame.writeBigUInt64LE(BigInt(fields.timestamp ?? 0), 160);
  frame.writeBigUInt64LE(BigInt(fields.request ?? 0), 168);
  frame.writeUInt8(fields.operation, 176);
  frame.writeBigUInt64LE(BigInt(fields.session ?? 0), 184);
  frame.writeUInt32LE(fields.code ?? 0, 196);
  frame.set(body, 256);
  return frame;
}

function name(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Body of a login with password. */
export function passwordBody(options: {
  readonly username: string;
  readonly password: string;
  readonly version?: number;
}): Buffer {
  const { username, password, version = 11_264 } = options;
  const prefix = [u32(version), name('test-sdk'), name('0.11.0')];
  return Buffer.concat([...prefix, name(username), name(password), u32(0)]);
}

/** Body of a login with a token. */
export function tokenBody(token: string): Buffer {
  return Buffer.concat([u32(11_264), name('test-sdk'), name('0.11.0'), name(token), u32(0)]);
}

/** Body of SendMessages: to stream 1, topic "orders", partition 3; the batch is any bytes. */
export function sendBody(batch: Uint8Array): Buffer {
  const stream = Buffer.from([1, 4, 1, 0, 0, 0]);
  const topic = Buffer.concat([Buffer.from([2]), name('orders')]);
  const partition = Buffer.from([2, 4, 3, 0, 0, 0]);
  const routing = Buffer.concat([stream, topic, partition, u32(1)]);
  return Buffer.concat([u32(routing.length), routing, batch]);
}

/** Body of PollMessages: consumer 1, stream 1, topic 1, partition 3, from offset 0. */
export function pollBody(): Buffer {
  const id = [1, 4, 1, 0, 0, 0];
  const partition = [1, 3, 0, 0, 0];
  const strategy = [1, 0, 0, 0, 0, 0, 0, 0, 0];
  return Buffer.from([1, ...id, ...id, ...id, ...partition, ...strategy, 10, 0, 0, 0, 0]);
}
