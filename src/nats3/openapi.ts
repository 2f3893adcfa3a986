import { z } from 'zod';
import { archiveAnswer, jobAnswer, loadRequest, problem, storeRequest } from './schema.ts';

type Json = { [key: string]: unknown };

const refTo = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const json = (description: string, schema: Json): Json => ({ description, content: { 'application/json': { schema } } });
const failure = (description: string): Json => ({
  description,
  content: { 'application/problem+json': { schema: refTo('Problem') } },
});

const failures: Record<string, Json> = {
  '400': failure('A field is wrong: `errors` says which.'),
  '401': failure('The token is missing or wrong.'),
  '404': failure('There is no such stream, bucket or job.'),
  '409': failure('The name is taken.'),
  '422': failure('The stream does not have these subjects, or the target is not clear.'),
  '503': failure('NATS or the storage cannot be reached now.'),
};
const nameParameter = { name: 'name', in: 'path', required: true, schema: { type: 'string' } };

/** The API as an OpenAPI document, from the schemas that requests are checked by. */
export function openApi(version: string): object {
  return {
    openapi: '3.1.0',
    info: { title: 'nats3', version, description: 'Archives streams of NATS JetStream in S3 storage, and publishes them again.' },
    security: [{}, { token: [] }],
    paths: {
      ...jobPaths('store', 'StoreRequest', 'Archives a stream, or the part of it on a subject.'),
      ...jobPaths('load', 'LoadRequest', 'Publishes what an archive holds.'),
      '/archive': {
        get: {
          summary: 'What a bucket holds, by stream and job.',
          parameters: [
            { name: 'bucket', in: 'query', required: true, schema: { type: 'string' } },
            { name: 'prefix', in: 'query', schema: { type: 'string' } },
          ],
          responses: { '200': json('Its contents.', refTo('Archive')), ...failures },
        },
      },
      '/openapi.json': { get: { summary: 'This document.', responses: { '200': json('It.', { type: 'object' }) } } },
      ...probePaths(),
    },
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: {
        StoreRequest: z.toJSONSchema(storeRequest, { io: 'input' }),
        LoadRequest: z.toJSONSchema(loadRequest, { io: 'input' }),
        Job: z.toJSONSchema(jobAnswer),
        Archive: z.toJSONSchema(archiveAnswer),
        Problem: z.toJSONSchema(problem),
      },
    },
  };
}

function jobPaths(kind: 'store' | 'load', request: string, summary: string): Json {
  const job = json('The job.', refTo('Job'));
  const list = { type: 'object', properties: { jobs: { type: 'array', items: refTo('Job') } }, required: ['jobs'] };
  const verb = (text: string): Json => ({ summary: text, parameters: [nameParameter], responses: { '200': job, ...failures } });
  return {
    [`/${kind}/job`]: {
      get: { summary: `Every ${kind} job.`, responses: { '200': json('All of them.', list), ...failures } },
      post: {
        summary,
        requestBody: { required: true, content: { 'application/json': { schema: refTo(request) } } },
        responses: { '201': job, ...failures },
      },
    },
    [`/${kind}/job/{name}`]: {
      get: verb('One job.'),
      delete: {
        summary: 'Ends a job for good. What it has stored or loaded stays.',
        parameters: [nameParameter],
        responses: {
          '202': json('It will be gone as soon as a server can be reached that runs it.', { type: 'object' }),
          '204': { description: 'It is gone.' },
          ...failures,
        },
      },
    },
    [`/${kind}/job/{name}/pause`]: { post: verb('Finishes what is under way, and waits.') },
    [`/${kind}/job/{name}/resume`]: { post: verb('Goes on where it was; also a job that has failed.') },
  };
}

function probePaths(): Json {
  const probe = (summary: string): Json => {
    const [yes, no] = ['Yes.', 'No, and why.'].map((text) => json(text, { type: 'object' }));
    return { get: { summary, security: [], responses: { '200': yes, '503': no } } };
  };
  return {
    '/health': probe('Whether it is alive and ready.'),
    '/health/live': probe('Whether it should be left running.'),
    '/health/ready': probe('Whether it can do its work.'),
    '/metrics': { get: { summary: 'Metrics for Prometheus.', security: [], responses: { '200': { description: 'Them.' } } } },
    '/stats': { get: { summary: 'Figures for people.', responses: { '200': json('Them.', { type: 'object' }) } } },
  };
}
