import assert from 'node:assert/strict';

/**
 * What a frame asks for, byte 176 of a request and 208 of a reply. Reads all share
 * `nonReplicated` and are told apart by their command code (byte 196).
 */
export const OPERATION = {
  register: 1,
  nonReplicated: 2,
  logout: 3,
  createStream: 128,
  updateStream: 129,
  deleteStream: 130,
  purgeStream: 131,
  createTopic: 132,
  updateTopic: 133,
  deleteTopic: 134,
  purgeTopic: 135,
  createPartitions: 136,
  deletePartitions: 137,
  deleteSegments: 138,
  createConsumerGroup: 139,
  deleteConsumerGroup: 140,
  createUser: 141,
  updateUser: 142,
  deleteUser: 143,
  changePassword: 144,
  updatePermissions: 145,
  createPersonalAccessToken: 146,
  deletePersonalAccessToken: 147,
  joinConsumerGroup: 148,
  leaveConsumerGroup: 149,
  sendMessages: 160,
  storeConsumerOffset: 161,
  deleteConsumerOffset: 162,
} as const;

/** Operations that servers give themselves. From a client they are answered with an eviction. */
export const SERVER_OPERATION = {
  createTopicWithAssignments: 64,
  createPartitionsWithAssignments: 65,
  removeConsumerGroupMember: 66,
  completeConsumerGroupRevocation: 67,
  truncatePartition: 68,
} as const;

const KNOWN: Uint8Array = new Uint8Array(256);
for (const operation of Object.values(OPERATION)) KNOWN[operation] = 1;
for (const operation of Object.values(SERVER_OPERATION)) KNOWN[operation] = 1;

export function isKnownOperation(operation: number): boolean {
  return KNOWN[operation] === 1;
}

/** Whether only servers may give this operation. */
export function isServerOperation(operation: number): boolean {
  return operation >= 64 && operation <= 68;
}

/** Whether the body of a successful reply starts with a result section. */
export function hasResultSection(operation: number): boolean {
  assert(isKnownOperation(operation));
  return (
    operation !== OPERATION.nonReplicated &&
    operation !== OPERATION.logout &&
    operation !== OPERATION.deleteSegments &&
    operation !== OPERATION.sendMessages
  );
}
