"""The benchmark: what Coatcheck costs against a bare aiohttp handler, measured side by side in one run."""
