/** The Query protocol of EC2, STS and IAM: parameter lists read out of a form body, answers written as XML. */
import { XMLBuilder } from 'fast-xml-parser';
import type { Refusal } from './refusal.ts';

/** Elements of an answer: texts, nested elements, or a list that repeats its element. Undefined is left out. */
export type XmlValue =
  string | number | boolean | undefined | XmlElement | readonly XmlElement[] | readonly string[];
export interface XmlElement {
  readonly [name: string]: XmlValue;
}

const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  suppressBooleanAttributes: false,
});

function document(root: XmlElement): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${builder.build(root)}`;
}

/** EC2 lists: an element that holds <item>s. */
export function items(elements: readonly XmlElement[] | readonly string[]): XmlValue {
  return elements.length === 0 ? '' : { item: elements };
}

export function ec2Answer(action: string, requestId: string, content: XmlElement): string {
  return document({
    [`${action}Response`]: { '@xmlns': 'http://ec2.amazonaws.com/doc/2016-11-15/', requestId, ...content },
  });
}

export function ec2Error(refusal: Refusal, requestId: string): string {
  return document({
    Response: { Errors: { Error: { Code: refusal.code, Message: refusal.message } }, RequestID: requestId },
  });
}

/** Services with the plain form of the protocol. */
export type QueryService = 'sts' | 'iam';

const NAMESPACES: Readonly<Record<QueryService, string>> = {
  sts: 'https://sts.amazonaws.com/doc/2011-06-15/',
  iam: 'https://iam.amazonaws.com/doc/2010-05-08/',
};

/** STS and IAM lists: an element that holds <member>s. */
export function members(elements: readonly XmlElement[] | readonly string[]): XmlValue {
  return elements.length === 0 ? '' : { member: elements };
}

export function queryAnswer(
  service: QueryService,
  action: string,
  requestId: string,
  content: XmlElement,
): string {
  return document({
    [`${action}Response`]: {
      '@xmlns': NAMESPACES[service],
      [`${action}Result`]: content,
      ResponseMetadata: { RequestId: requestId },
    },
  });
}

export function queryError(service: QueryService, refusal: Refusal, requestId: string): string {
  const type = refusal.status < 500 ? 'Sender' : 'Receiver';
  return document({
    ErrorResponse: {
      '@xmlns': NAMESPACES[service],
      Error: { Type: type, Code: refusal.code, Message: refusal.message },
      RequestId: requestId,
    },
  });
}

/** Values of 'Name.1', 'Name.2', ... in order. */
export function numberedValues(parameters: URLSearchParams, name: string): string[] {
  return numbered(parameters, new RegExp(`^${name}\\.(\\d+)$`)).map(([, value]) => value);
}

export interface QueryFilter {
  readonly name: string;
  readonly values: readonly string[];
}

/** 'Filter.1.Name', 'Filter.1.Value.1', ... */
export function readFilters(parameters: URLSearchParams): QueryFilter[] {
  return numbered(parameters, /^Filter\.(\d+)\.Name$/).map(([index, name]) => ({
    name,
    values: numberedValues(parameters, `Filter\\.${index}\\.Value`),
  }));
}

function numbered(parameters: URLSearchParams, pattern: RegExp): [number, string][] {
  const found: [number, string][] = [];
  for (const [key, value] of parameters) {
    const index = pattern.exec(key)?.[1];
    if (index !== undefined) found.push([Number(index), value]);
  }
  return found.sort(([a], [b]) => a - b);
}
