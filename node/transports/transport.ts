/**
 * The five verbs of a byte stream to one client. No meaning: what the bytes say is the business of
 * connection.ts. A real one wraps a socket (tcp.ts), the one of tests a pair in memory (memory.ts).
 */
export interface Transport {
  /**
   * Queues bytes. `view` is borrowed until `onSent`, which comes exactly once and in the order of
   * the calls, also when the connection is lost. False: send no more before `onDrain`.
   */
  sendData(view: Uint8Array): boolean;
  /** Says the end of our bytes, behind all that is queued. The client's may still arrive. */
  sendClose(): void;
  /** Drops the connection in both directions; `onClosed` follows. */
  sendReset(): void;
  /** Stops onData. What the operating system delivered already may still come, once. */
  sendPause(): void;
  sendResume(): void;
}

/** What a transport reports. Nothing comes after onClosed. */
export interface TransportEvents {
  /** Bytes from the client, which are the receiver's to keep. */
  onData(chunk: Buffer): void;
  /** One view given to sendData is no longer read. */
  onSent(): void;
  /** The transport takes more. */
  onDrain(): void;
  /** The client sends no more; it may still read. */
  onEnd(): void;
  /** Nothing can be received or sent any more, and every onSent has been. */
  onClosed(): void;
}

/** What the server's metrics learn of the connections of one listener. */
export interface TransportObserver {
  opened(kind: string): void;
  closed(kind: string): void;
  /** A frame or connection was refused without an answer; the reason is a REFUSED value or a FrameFault. */
  refusedFrame(reason: string): void;
  received(bytes: number): void;
  sent(bytes: number): void;
}

/** Why bytes of a client were refused without an answer, or its connection was cut. */
export const REFUSED = {
  generation08: 'generation08',
  foreignCommand: 'foreignCommand',
  cutFrame: 'cutFrame',
  frameTimeout: 'frameTimeout',
  writeTimeout: 'writeTimeout',
  idleTimeout: 'idleTimeout',
  handshakeTimeout: 'handshakeTimeout',
  handshakeFailed: 'handshakeFailed',
  connectionsMax: 'connectionsMax',
} as const;

export type Refused = (typeof REFUSED)[keyof typeof REFUSED];
