import express, { type Router } from 'express';
// not the package itself: loading that runs the whole browser bundle, 0.4 s a service
import getAbsoluteFSPath from 'swagger-ui-dist/absolute-path';

const PAGE = (service: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${service}: API</title>
<link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body></html>`;

/** Its own scripts only; Swagger UI writes styles into its elements and shows pictures out of its style sheet. */
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

const START = `window.ui = SwaggerUIBundle({ url: 'openapi.json', dom_id: '#swagger-ui', deepLinking: true });`;

/** For `/docs`: the OpenAPI document as a page to browse and try. */
export function docsPage(service: string): Router {
  const router = express.Router();
  router.use((_request, response, next) => {
    response.setHeader('Content-Security-Policy', POLICY);
    next();
  });
  router.get('/', (_request, response) => void response.type('html').send(PAGE(service)));
  router.get('/start.js', (_request, response) => void response.type('js').send(START));
  router.use(express.static(getAbsoluteFSPath(), { index: false }));
  return router;
}
