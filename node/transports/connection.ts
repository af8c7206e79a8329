import assert from 'node:assert/strict';
import { STATUS } from '@iggy-ts/wire/status';
import {
  COMMAND_BYTE,
  checkFrame,
  type FrameFault,
  frameBytes,
  frameCommand,
  HEADER_BYTES,
  RequestHeader,
} from '@iggy-ts/wire/v09/frame';
import { OPERATION } from '@iggy-ts/wire/v09/operations';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Pool } from '../base/pool.ts';
import type { Broker, Connection as Session } from '../broker/port.ts';
import type { Answer } from './answer.ts';
import { type BodyHasher, Dispatch } from './dispatch.ts';
import { FRAME_STATE, FrameReader } from './frame-reader.ts';
import { Outbox } from './outbox.ts';
import { NO_SLOT, openRequest, type Request } from './request.ts';
import { NOTHING_DUE, Stall } from './stall.ts';
import {
  REFUSED,
  type Refused,
  type Transport,
  type TransportEvents,
  type TransportObserver,
} from './transport.ts';

// One client connection, whatever carries its bytes. It is one file, because reading, executing
// and answering hold each other up, and the rules of that are what it is about:
//
//   onData ─► FrameReader ─► #queue ─► Dispatch.answer, one at a time ─► Outbox ─► sendData
//      ▲            │                        │                              │
//      └── resume ──┴── blocked: the queue is full, a slot is awaited ◄─────┘ answers unread
//
//   OPEN ──► ENDING ──► CLOSING ──► CLOSED
//            no more    our end is  the transport
//            is read    said        is gone
//
// A frame is read ahead of its turn, but a slot of the pool is taken ahead only behind requests
// that take no slot themselves: else a pool full of batches that wait behind polls, which wait for
// the pool, would stand still for ever.

/** Whole requests of one connection that may wait for their turn. */
const REQUESTS_MAX = 1024;
/** Their bodies together; a single larger one is read when nothing else is in hand. */
const QUEUED_BYTES_MAX = 16 * 1024 * 1024;
/** The next request waits while more bytes of answers than this are unread. */
const UNREAD_BYTES_MAX = 1024 * 1024;
/** Body of a request that anybody may send: a login fits. */
const PUBLIC_BODY_BYTES_MAX = 64 * 1024;
/** Body of any other request but SendMessages: the permissions of tens of thousands of topics fit. */
const CONTROL_BODY_BYTES_MAX = 1024 * 1024;
/** How long after our end the client may take to say its own. */
const LINGER_US = 2_000_000;

const STATE = { open: 0, ending: 1, closing: 2, closed: 3 } as const;
type State = (typeof STATE)[keyof typeof STATE];

/** units    bytes and milliseconds; a timeout of 0 never fires */
export interface ConnectionLimits {
  /** Largest frame in both directions, header included. */
  readonly frameBytesMax: number;
  readonly idleTimeoutMs: number;
  readonly frameTimeoutMs: number;
  readonly writeTimeoutMs: number;
}

export interface ConnectionDependencies {
  readonly broker: Broker;
  readonly pool: Pool;
  readonly kernel: BodyHasher;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: TransportObserver;
  /** An error that is nobody's answer. The connection is gone already. */
  readonly onBug: (error: unknown) => void;
}

/** Where the client is, as ip:port, and where it reached us. */
export interface Peer {
  readonly address: string;
  readonly localAddress: string;
}

/** Reads requests, has them answered in order, sends the answers; see the head of the file. */
export class ClientConnection implements TransportEvents {
  readonly #transport: Transport;
  readonly #limits: ConnectionLimits;
  readonly #deps: ConnectionDependencies;
  readonly #session: Session;
  readonly #dispatch: Dispatch;
  readonly #reader: FrameReader = new FrameReader(HEADER_BYTES);
  readonly #outbox: Outbox;
  readonly #queue: Request[] = [];
  /** Chunks that arrived behind the place where reading is blocked. */
  readonly #rest: Buffer[] = [];
  readonly #frameStall: Stall;
  readonly #writeStall: Stall;
  readonly #idleStall: Stall;
  readonly #lingerStall: Stall = new Stall(LINGER_US);
  readonly #onGone: (connection: ClientConnection) => void;
  #state: State = STATE.open;
  /** The request that is being answered. */
  #current: Request | null = null;
  /** Bytes of the bodies of #queue and #current. */
  #handBytes = 0;
  /** Requests of #queue and #current that may need a slot of the pool for their answer. */
  #pollsInHand = 0;
  /** The request whose body is being received; null also while that of a foreign frame is. */
  #incoming: Request | null = null;
  /** A header to use again. A lockstep client needs no second one. */
  #spareHeader: RequestHeader | null = null;
  #isBlocked = false;
  #slotWait: AbortController | null = null;
  #isRunning = false;
  #isReset = false;
  #hasClientEnded = false;
  #framesCount = 0;
  #chunksCount = 0;
  #onRoom: (() => void) | null = null;

  constructor(options: {
    readonly transport: Transport;
    readonly peer: Peer;
    readonly limits: ConnectionLimits;
    readonly deps: ConnectionDependencies;
    readonly onGone: (connection: ClientConnection) => void;
  }) {
    const { transport, peer, limits, deps, onGone } = options;
    this.#transport = transport;
    this.#limits = limits;
    this.#deps = deps;
    this.#onGone = onGone;
    this.#outbox = new Outbox(transport);
    this.#session = deps.broker.connect({ transport: 'tcp', ...peer });
    this.#session.onEvicted = (reason) => this.#evict(reason);
    this.#dispatch = new Dispatch({
      session: this.#session,
      broker: deps.broker,
      pool: deps.pool,
      kernel: deps.kernel,
      frameBytesMax: limits.frameBytesMax,
    });
    this.#frameStall = new Stall(limits.frameTimeoutMs * 1000);
    this.#writeStall = new Stall(limits.writeTimeoutMs * 1000);
    this.#idleStall = new Stall(limits.idleTimeoutMs * 1000);
  }

  onData(chunk: Buffer): void {
    // What arrives behind our decision to stop is thrown away, so that the client's end can come.
    if (this.#state !== STATE.open) return;
    this.#chunksCount += 1;
    this.#deps.observer.received(chunk.length);
    if (this.#isBlocked) this.#rest.push(chunk);
    else this.#read(chunk);
  }

  onSent(): void {
    this.#outbox.onSent();
    if (this.#onRoom !== null && this.#outbox.bytes <= UNREAD_BYTES_MAX) this.#wakeRun();
    this.#maybeClose();
  }

  onDrain(): void {
    this.#outbox.onDrain();
  }

  onEnd(): void {
    this.#hasClientEnded = true;
    this.#settleEnd();
  }

  onClosed(): void {
    assert(this.#state !== STATE.closed);
    this.#abandonBody();
    this.#state = STATE.closed;
    this.#outbox.close();
    for (const request of this.#queue.splice(0)) this.#finish(request);
    this.#session.onEvicted = null;
    this.#session.close();
    this.#wakeRun();
    this.#onGone(this);
  }

  /** Answers what has arrived whole, then closes. Idempotent. */
  drain(): void {
    if (this.#state !== STATE.open) return;
    this.#abandonBody();
    this.#state = STATE.ending;
    if (this.#isBlocked) this.#transport.sendResume();
    this.#isBlocked = false;
    this.#maybeClose();
  }

  /** Cuts the connection now. */
  reset(): void {
    if (this.#isReset || this.#state === STATE.closed) return;
    this.#isReset = true;
    this.#transport.sendReset();
  }

  /** Looks for what stands still; called now and then by the set of connections. */
  tick(nowUs: number): void {
    if (this.#isReset) return;
    const isOpen = this.#state === STATE.open && !this.#isBlocked;
    const isAtRest = isOpen && !this.#isBusy && this.#outbox.bytes === 0;
    const frame = isOpen && this.#reader.isInside ? this.#framesCount : NOTHING_DUE;
    const write = this.#outbox.bytes > 0 ? this.#outbox.sentCount : NOTHING_DUE;
    const idle = isAtRest ? this.#chunksCount : NOTHING_DUE;
    const linger = this.#state === STATE.closing ? 0 : NOTHING_DUE;
    if (this.#frameStall.observe(frame, nowUs)) this.#cut(REFUSED.frameTimeout);
    else if (this.#writeStall.observe(write, nowUs)) this.#cut(REFUSED.writeTimeout);
    else if (this.#idleStall.observe(idle, nowUs)) this.#cut(REFUSED.idleTimeout);
    else if (this.#lingerStall.observe(linger, nowUs)) this.reset();
  }

  get #isBusy(): boolean {
    return this.#current !== null || this.#queue.length > 0;
  }

  // Reading

  #read(chunk: Buffer): void {
    let at = 0;
    while (this.#state === STATE.open) {
      at = this.#reader.take(chunk, at);
      if (this.#framesCount === 0 && !this.#isGeneration09()) {
        this.#refuse(REFUSED.generation08);
        return;
      }
      if (this.#reader.state === FRAME_STATE.headerWhole && !this.#placeBody()) {
        if (this.#isBlocked && at < chunk.length) this.#rest.unshift(chunk.subarray(at));
        return;
      }
      if (this.#reader.state === FRAME_STATE.frameWhole) this.#accept();
      else if (at === chunk.length) return;
    }
  }

  /** The first four bytes of a connection are 0 in 0.9 and a length of at least 4 in 0.8. */
  #isGeneration09(): boolean {
    const count = Math.min(4, this.#reader.headerFilled);
    for (let at = 0; at < count; at += 1) if (this.#reader.header[at] !== 0) return false;
    return true;
  }

  /** Decides where the body of the frame goes. False: not now (blocked), or never (refused). */
  #placeBody(): boolean {
    const request = this.#incoming ?? this.#openFrame();
    if (request === null) return this.#state === STATE.open;
    this.#incoming = request;
    const { bodyBytes } = request;
    const isFull =
      this.#queue.length >= REQUESTS_MAX || this.#handBytes + bodyBytes > QUEUED_BYTES_MAX;
    if (this.#isBusy && isFull) return this.#block();
    const isSend = request.header.operation === OPERATION.sendMessages;
    return isSend && bodyBytes > 0 ? this.#placeBatch(request) : this.#placeControl(request);
  }

  /** A header is whole. Null: the connection is refused, or the frame is none of a client's. */
  #openFrame(): Request | null {
    const view = this.#reader.headerView;
    const fault = checkFrame(view, 0, this.#limits.frameBytesMax);
    if (fault !== null) {
      this.#refuse(fault);
      return null;
    }
    if (frameCommand(view, 0) !== COMMAND_BYTE.request) {
      this.#deps.observer.refusedFrame(REFUSED.foreignCommand);
      this.#reader.skip(frameBytes(view, 0) - HEADER_BYTES);
      return null;
    }
    const header = this.#spareHeader ?? new RequestHeader();
    this.#spareHeader = null;
    return openRequest(this.#reader.header, view, header);
  }

  /** A batch goes into a slot of the pool, if its sender may send at all. */
  #placeBatch(request: Request): boolean {
    const { bodyBytes } = request;
    if (this.#session.session === null) {
      // A login that is still in hand decides.
      if (this.#isBusy) return this.#block();
      return this.#dropBody(request, STATUS.unauthenticated);
    }
    if (this.#pollsInHand > 0) return this.#block();
    const at = this.#deps.pool.take(bodyBytes);
    if (at >= 0) this.#storeIn(request, at);
    else this.#awaitSlot(request);
    return at >= 0;
  }

  #placeControl(request: Request): boolean {
    const { bodyBytes } = request;
    if (bodyBytes > PUBLIC_BODY_BYTES_MAX) {
      const isPublic = this.#session.session === null;
      if (isPublic && this.#isBusy) return this.#block();
      if (isPublic || bodyBytes > CONTROL_BODY_BYTES_MAX) {
        return this.#dropBody(request, STATUS.invalidCommand);
      }
    }
    this.#reader.gather(bodyBytes);
    return true;
  }

  #dropBody(request: Request, status: number): true {
    request.bodyStatus = status;
    this.#reader.skip(request.bodyBytes);
    return true;
  }

  #storeIn(request: Request, slotAt: number): void {
    request.slotAt = slotAt;
    const slot = this.#deps.pool.bytes.subarray(slotAt, slotAt + request.bodyBytes);
    this.#reader.storeIn(slot);
  }

  #awaitSlot(request: Request): void {
    assert(this.#slotWait === null);
    this.#block();
    const { pool } = this.#deps;
    const wait = new AbortController();
    this.#slotWait = wait;
    const taken = (slotAt: number): void => {
      if (this.#slotWait !== wait) {
        pool.give(slotAt);
        return;
      }
      this.#slotWait = null;
      this.#storeIn(request, slotAt);
      this.#readOn();
    };
    const refused = (): void => {
      // Given up by ourselves, or so many wait already that one more is not let in.
      if (this.#slotWait !== wait) return;
      this.#slotWait = null;
      this.#dropBody(request, STATUS.transientNotAccepted);
      this.#readOn();
    };
    pool
      .takeWhenFree(request.bodyBytes, wait.signal)
      .then(taken, refused)
      .catch((error: unknown) => this.#fail(error));
  }

  #block(): false {
    if (!this.#isBlocked) this.#transport.sendPause();
    this.#isBlocked = true;
    return false;
  }

  /** Tries again what was blocked, after room was made. */
  #unblock(): void {
    if (!this.#isBlocked || this.#slotWait !== null || this.#state !== STATE.open) return;
    assert(this.#reader.state === FRAME_STATE.headerWhole);
    if (this.#placeBody()) this.#readOn();
  }

  /** The body that was blocked has its place: takes what had arrived behind it, and more. */
  #readOn(): void {
    this.#isBlocked = false;
    if (this.#reader.state === FRAME_STATE.frameWhole) this.#accept();
    while (!this.#isBlocked && this.#state === STATE.open) {
      const chunk = this.#rest.shift();
      if (chunk === undefined) {
        this.#transport.sendResume();
        this.#settleEnd();
        return;
      }
      this.#read(chunk);
    }
  }

  /** A frame is whole: it becomes a request in the queue. */
  #accept(): void {
    const request = this.#incoming;
    this.#incoming = null;
    const body = this.#reader.next();
    this.#framesCount += 1;
    if (request === null) return;
    request.body = body;
    this.#session.touch();
    this.#queue.push(request);
    this.#handBytes += request.bodyBytes;
    this.#pollsInHand += request.isPoll ? 1 : 0;
    if (!this.#isRunning) this.#run().catch((error: unknown) => this.#fail(error));
  }

  /** The client said its end: what it sent before is still answered. */
  #settleEnd(): void {
    if (!this.#hasClientEnded || this.#isBlocked || this.#state !== STATE.open) return;
    if (this.#reader.isInside) this.#deps.observer.refusedFrame(REFUSED.cutFrame);
    this.drain();
  }

  // Executing

  async #run(): Promise<void> {
    assert(!this.#isRunning);
    this.#isRunning = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      this.#current = next;
      if (this.#outbox.bytes > UNREAD_BYTES_MAX) await this.#roomForAnswers();
      let answer: Answer | null = null;
      try {
        if (this.#state !== STATE.closed) answer = await this.#dispatch.answer(next);
      } finally {
        this.#current = null;
        this.#finish(next);
      }
      if (answer !== null) this.#deliver(next, answer);
      this.#unblock();
    }
    this.#isRunning = false;
    this.#maybeClose();
  }

  #deliver(request: Request, answer: Answer): void {
    if (request.isAnswered) answer.release?.();
    else this.#send(answer);
  }

  #send({ view, release }: Answer): void {
    if (this.#state !== STATE.closed) this.#deps.observer.sent(view.length);
    this.#outbox.send(view, release);
  }

  /** The request is over: what it borrowed goes back. */
  #finish(request: Request): void {
    if (request.slotAt !== NO_SLOT) this.#deps.pool.give(request.slotAt);
    this.#handBytes -= request.bodyBytes;
    this.#pollsInHand -= request.isPoll ? 1 : 0;
    assert(this.#handBytes >= 0);
    this.#spareHeader = request.header;
  }

  #roomForAnswers(): Promise<void> {
    if (this.#state === STATE.closed) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onRoom = resolve;
    return promise;
  }

  #wakeRun(): void {
    this.#onRoom?.();
    this.#onRoom = null;
  }

  /**
   * The broker ended the session. A lockstep client takes the frame for the answer to what it
   * asked, so that is not answered a second time.
   */
  #evict(reason: number): void {
    if (this.#state >= STATE.closing) return;
    const asked = this.#current ?? this.#queue[0];
    if (asked !== undefined) asked.isAnswered = true;
    const eviction = this.#dispatch.eviction(reason);
    if (eviction !== null) this.#send(eviction);
  }

  // Ending

  /** Nothing more is read; what was asked before is answered, then the connection closes. */
  #refuse(reason: Refused | FrameFault): void {
    this.#deps.observer.refusedFrame(reason);
    this.drain();
  }

  #cut(reason: Refused): void {
    this.#deps.observer.refusedFrame(reason);
    this.#deps.logger.debug('client cut off', { reason, connection: this.#session.id });
    this.reset();
  }

  /** Forgets the frame that is not whole. */
  #abandonBody(): void {
    this.#slotWait?.abort();
    this.#slotWait = null;
    const slotAt = this.#incoming?.slotAt ?? NO_SLOT;
    if (slotAt !== NO_SLOT) this.#deps.pool.give(slotAt);
    this.#incoming = null;
    this.#rest.length = 0;
  }

  #maybeClose(): void {
    if (this.#state !== STATE.ending || this.#isRunning || this.#outbox.bytes > 0) return;
    assert(!this.#isBusy);
    this.#state = STATE.closing;
    this.#transport.sendClose();
  }

  #fail(error: unknown): void {
    this.reset();
    this.#deps.onBug(error);
  }
}
