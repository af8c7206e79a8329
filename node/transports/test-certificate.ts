import { generateKeyPairSync, sign } from 'node:crypto';

// Just enough of X.509 (RFC 5280) for a self-signed certificate of a test: version 1, one name,
// P-256, valid from 2000 to 2049. Node can read certificates and not make them.

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;

const ECDSA_WITH_SHA256 = Buffer.from('2a8648ce3d040302', 'hex');
const COMMON_NAME = Buffer.from('550403', 'hex');

/** A certificate and its key as PEM texts, new at every call. */
export function makeCertificate(commonName: string): { cert: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = encode(SEQUENCE, encode(OBJECT_IDENTIFIER, ECDSA_WITH_SHA256));
  const attribute = encode(
    SEQUENCE,
    encode(OBJECT_IDENTIFIER, COMMON_NAME),
    encode(UTF8_STRING, Buffer.from(commonName)),
  );
  const name = encode(SEQUENCE, encode(SET, attribute));
  const times = ['000101000000Z', '491231235959Z'];
  const validity = times.map((time) => encode(UTC_TIME, Buffer.from(time)));
  const body = encode(
    SEQUENCE,
    encode(INTEGER, Buffer.from([1])),
    algorithm,
    name,
    encode(SEQUENCE, ...validity),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = encode(BIT_STRING, Buffer.from([0]), sign('sha256', body, privateKey));
  const cert = encode(SEQUENCE, body, algorithm, signature);
  const lines = cert.toString('base64').replaceAll(/.{1,64}/gu, '$&\n');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

/** DER: tag, length, contents. */
function encode(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const size = body.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}
