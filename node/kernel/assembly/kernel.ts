// The doors of the module. No allocation, no garbage collector, no imports but the memory.

export {
  checkBatch,
  findByOffset,
  findByOriginTimestamp,
  sealBatch,
  sliceBatch,
  stampBatch,
} from './batch';
export {
  addToDigest,
  closeDigest128,
  closeDigest64,
  digest128,
  digest64,
  openDigest,
} from './hash';
export { attach } from './thread-area';
