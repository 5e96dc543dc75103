/** The data key of an encrypted session: KMS GenerateDataKey. The only file that knows the KMS client. */
import { GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { ProxyError } from '../errors.ts';
import type { CallOptions } from './call.ts';
import { call } from './call.ts';
import { clientCache } from './client-cache.ts';
import type { AwsContext } from './context.ts';

export interface DataKeyRequest {
  readonly kmsKeyId: string;
  readonly numberOfBytes: number;
  readonly encryptionContext: Readonly<Record<string, string>>;
}

export interface DataKey {
  /** Secret. */
  readonly plaintext: Buffer;
  readonly ciphertext: Buffer;
}

const clientOf = clientCache('KMS', (config) => new KMSClient(config));

/** ACCESS_DENIED (kms:GenerateDataKey), CREDENTIALS_*, ENDPOINT_UNREACHABLE, SERVICE_ERROR. */
export async function generateDataKey(
  context: AwsContext,
  request: DataKeyRequest,
  options: CallOptions = {},
): Promise<DataKey> {
  const command = new GenerateDataKeyCommand({
    KeyId: request.kmsKeyId,
    NumberOfBytes: request.numberOfBytes,
    EncryptionContext: { ...request.encryptionContext },
  });
  const answer = await call(
    context,
    {
      operation: 'GenerateDataKey',
      send: (credentials, abortSignal) =>
        clientOf(context, credentials, options).send(command, { abortSignal }),
    },
    options,
  );
  if (answer.Plaintext === undefined || answer.CiphertextBlob === undefined) {
    throw new ProxyError('SERVICE_ERROR', 'GenerateDataKey answered without a key');
  }
  return { plaintext: Buffer.from(answer.Plaintext), ciphertext: Buffer.from(answer.CiphertextBlob) };
}
