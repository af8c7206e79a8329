import type {
  ClientDetailsReply,
  ClientReply,
  ClusterMetadataReply,
  OptionDescription,
  StatsReply,
} from '@iggy-ts/wire/commands/replies';
import { kindName, sizeText } from './json-values.ts';

// Figures, clients, nodes and the catalogue of options as JSON.

export function statsJson(stats: StatsReply): object {
  const cache = stats.cacheMetrics.map(({ streamId, topicId, partitionId, ...metrics }) => [
    `${streamId}-${topicId}-${partitionId}`,
    { hits: metrics.hits, misses: metrics.misses, hit_ratio: metrics.hitRatio },
  ]);
  return {
    process_id: stats.processId,
    cpu_usage: stats.cpuUsage,
    total_cpu_usage: stats.totalCpuUsage,
    memory_usage: sizeText(stats.memoryUsageBytes),
    total_memory: sizeText(stats.totalMemoryBytes),
    available_memory: sizeText(stats.availableMemoryBytes),
    run_time: stats.runTimeUs,
    start_time: stats.startTimeUs,
    read_bytes: sizeText(stats.readBytes),
    written_bytes: sizeText(stats.writtenBytes),
    messages_size_bytes: sizeText(stats.messagesSizeBytes),
    streams_count: stats.streamsCount,
    topics_count: stats.topicsCount,
    partitions_count: stats.partitionsCount,
    segments_count: stats.segmentsCount,
    messages_count: stats.messagesCount,
    clients_count: stats.clientsCount,
    consumer_groups_count: stats.consumerGroupsCount,
    hostname: stats.hostname,
    os_name: stats.osName,
    os_version: stats.osVersion,
    kernel_version: stats.kernelVersion,
    iggy_server_version: stats.serverVersion,
    iggy_server_semver: stats.serverSemver === 0 ? null : stats.serverSemver,
    cache_metrics: Object.fromEntries(cache),
    threads_count: stats.threadsCount,
    free_disk_space: sizeText(stats.freeDiskBytes),
    total_disk_space: sizeText(stats.totalDiskBytes),
  };
}

export function clientJson(client: ClientReply): object {
  return {
    client_id: client.clientId,
    user_id: client.userId,
    address: client.address,
    transport: client.transport === 'websocket' ? 'ws' : client.transport,
    consumer_groups_count: client.consumerGroupsCount,
  };
}

export function clientDetailsJson(client: ClientDetailsReply): object {
  const groups = client.consumerGroups.map(({ streamId, topicId, groupId }) => ({
    stream_id: streamId,
    topic_id: topicId,
    group_id: groupId,
  }));
  return { ...clientJson(client), consumer_groups: groups };
}

export function clusterJson({ name, nodes }: ClusterMetadataReply): object {
  const shown = nodes.map((node) => ({
    name: node.name,
    ip: node.ip,
    endpoints: {
      tcp: node.tcpPort,
      quic: node.quicPort,
      http: node.httpPort,
      websocket: node.websocketPort,
    },
    role: node.role,
    status: node.status,
  }));
  return { name, nodes: shown };
}

export function optionDescriptionJson(option: OptionDescription): object {
  return {
    key: option.key,
    kind: kindName(option.kind),
    default_value: [...option.defaultValue],
    description: option.description,
  };
}
