-- The request comes from the environment; the figures go out as one line of JSON.
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.method = os.getenv("BENCH_VERB")
wrk.body = file:read("*a")
file:close()
wrk.headers["content-type"] = os.getenv("BENCH_TYPE")

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"rate": %f, "p50": %f, "p99": %f, "errors": %d}\n',
    summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1000,
    latency:percentile(99) / 1000,
    e.connect + e.read + e.write + e.status + e.timeout))
end
