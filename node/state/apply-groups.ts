import { STATUS } from '@iggy-ts/wire/status';
import { Assignment } from './assignment.ts';
import {
  answer,
  DONE,
  type Execution,
  evict,
  isName,
  type Result,
  reachGroup,
  reachTopic,
  refuse,
} from './execution.ts';
import type {
  CompleteRevocationsOp,
  CreateConsumerGroupOp,
  DeleteConsumerGroupOp,
  JoinConsumerGroupOp,
  LeaveConsumerGroupOp,
} from './metadata-op.ts';
import { EVICTION } from './outcome.ts';

export function createConsumerGroup({ tables }: Execution, op: CreateConsumerGroupOp): Result {
  const reached = reachTopic(tables, op, 'topicRead');
  if (typeof reached === 'number') return refuse(reached);
  const { topic } = reached;
  if (!isName(op.name)) return refuse(STATUS.invalidConsumerGroupName);
  if (topic.groups.byName(op.name) !== null) return refuse(STATUS.consumerGroupNameAlreadyExists);
  const partitionsCount = topic.partitions.length;
  const id = topic.groups.idNext;
  tables.addGroup(topic, {
    streamId: topic.streamId,
    topicId: topic.id,
    id,
    name: op.name,
    assignment: new Assignment(partitionsCount),
  });
  return answer({ id, partitionsCount, membersCount: 0, name: op.name, members: [] });
}

export function deleteConsumerGroup(execution: Execution, op: DeleteConsumerGroupOp): Result {
  const { tables, changes } = execution;
  const reached = reachGroup(tables, op);
  if (typeof reached === 'number') return refuse(reached);
  const { topic, group } = reached;
  tables.deleteGroup(topic, group);
  const uuids = topic.partitions.map(({ uuid }) => uuid);
  if (uuids.length > 0) changes.push({ kind: 'groupDeleted', uuids, groupId: group.id });
  return DONE;
}

export function joinConsumerGroup({ tables, origin }: Execution, op: JoinConsumerGroupOp): Result {
  const reached = reachGroup(tables, op);
  if (typeof reached === 'number') return refuse(reached);
  const { group } = reached;
  const session = tables.sessions.get(op.client);
  if (session === undefined) return evict(EVICTION.noSession);
  group.assignment.join(op.client, op.inFlight, origin);
  session.groups.add(group);
  tables.notePending(group);
  return DONE;
}

export function leaveConsumerGroup({ tables }: Execution, op: LeaveConsumerGroupOp): Result {
  const reached = reachGroup(tables, op);
  if (typeof reached === 'number') return refuse(reached);
  const { group } = reached;
  if (!group.assignment.leave(op.client)) return refuse(STATUS.consumerGroupMemberNotFound);
  tables.sessions.get(op.client)?.groups.delete(group);
  tables.notePending(group);
  return DONE;
}

/** The group may be gone meanwhile; then there is nothing to complete. */
export function completeRevocations(execution: Execution, op: CompleteRevocationsOp): Result {
  const { tables, origin } = execution;
  const topic = tables.streams.get(op.streamId)?.topics.get(op.topicId);
  const group = topic?.groups.get(op.groupId);
  if (group === undefined || group === null) return DONE;
  group.assignment.complete(op.revocations, op.inFlight, origin);
  tables.notePending(group);
  return DONE;
}
