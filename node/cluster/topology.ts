import type { Placement } from '../state/metadata-tables.ts';
import type { TopicSettings } from '../state/topic-options.ts';
import type { PartitionSettings } from './port.ts';
import { type RetentionRules, shareBytesOf } from './retention-plan.ts';

/** What a partition of a topic with these options is made with. */
export function partitionSettingsOf(settings: TopicSettings): PartitionSettings {
  return {
    segmentBytes: settings.segmentBytes,
    durabilityPersisted: settings.durability === 'persisted',
    offsetsPersisted: settings.consumerOffsetDurability === 'persisted',
  };
}

/** What may go of a partition, as far as the metadata decides it. */
export function retentionRulesOf(
  placement: Placement,
  options: { readonly cleanerEnabled: boolean },
): Omit<RetentionRules, 'nowUs' | 'offsetStoredMin'> {
  const { settings, partitions } = placement.topic;
  const { cleanerEnabled } = options;
  return {
    expiryUs: cleanerEnabled ? settings.messageExpiryUs : Infinity,
    shareBytes: cleanerEnabled
      ? shareBytesOf({
          bytesMax: settings.maxTopicSizeBytes,
          partitionsCount: partitions.length,
          segmentBytes: settings.segmentBytes,
        })
      : Infinity,
    watermark: placement.partition.trimOffset,
  };
}
