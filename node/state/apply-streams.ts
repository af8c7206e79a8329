import { STATUS } from '@iggy-ts/wire/status';
import { purgePartitions } from './apply-topics.ts';
import {
  answer,
  DONE,
  type Execution,
  isName,
  mayExecute,
  type Result,
  reachStream,
  refuse,
} from './execution.ts';
import type {
  CreateStreamOp,
  DeleteStreamOp,
  PurgeStreamOp,
  UpdateStreamOp,
} from './metadata-op.ts';
import { withoutStream } from './permissions.ts';

export const STREAMS_MAX = 1_048_576;

export function createStream({ tables, origin }: Execution, op: CreateStreamOp): Result {
  if (!mayExecute(tables, op.caller, 'streamsManage', null)) return refuse(STATUS.unauthorized);
  if (!isName(op.name)) return refuse(STATUS.invalidStreamName);
  if (tables.streams.byName(op.name) !== null) return refuse(STATUS.streamNameAlreadyExists);
  if (tables.streams.size >= STREAMS_MAX) return refuse(STATUS.tooManyStreams);
  const { id, createdAtUs, name } = tables.addStream({
    id: tables.streams.idNext,
    name: op.name,
    createdAtUs: origin.timestampUs,
  });
  return answer({
    id,
    createdAtUs,
    topicsCount: 0,
    sizeBytes: 0,
    messagesCount: 0,
    name,
    options: [],
  });
}

export function updateStream({ tables }: Execution, op: UpdateStreamOp): Result {
  const reached = reachStream(tables, op, 'streamManage');
  if (typeof reached === 'number') return refuse(reached);
  const { stream } = reached;
  if (!isName(op.name)) return refuse(STATUS.invalidStreamName);
  const holder = tables.streams.byName(op.name);
  if (holder !== null && holder !== stream) return refuse(STATUS.streamNameAlreadyExists);
  tables.streams.rename(stream, op.name);
  return DONE;
}

export function deleteStream({ tables, changes }: Execution, op: DeleteStreamOp): Result {
  const reached = reachStream(tables, op, 'streamManage');
  if (typeof reached === 'number') return refuse(reached);
  const { stream } = reached;
  const uuids: string[] = [];
  for (const topic of stream.topics.list()) {
    for (const { uuid } of topic.partitions) uuids.push(uuid);
    tables.deleteTopic(stream, topic);
  }
  tables.streams.delete(stream);
  // The id is given out again; what somebody may do to this stream must not apply to another.
  for (const user of tables.users.list()) {
    if (user.permissions !== null) user.permissions = withoutStream(user.permissions, stream.id);
  }
  if (uuids.length > 0) changes.push({ kind: 'partitionsDeleted', uuids });
  return DONE;
}

export function purgeStream(execution: Execution, op: PurgeStreamOp): Result {
  const reached = reachStream(execution.tables, op, 'streamManage');
  if (typeof reached === 'number') return refuse(reached);
  purgePartitions(execution, reached.stream.topics.list());
  return DONE;
}
