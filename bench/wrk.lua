-- The request comes from the environment; the figures go out as one line of JSON. BENCH_FRESH names
-- a header that has 32 other hexadecimal digits in each request.
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.method = os.getenv("BENCH_VERB")
wrk.body = file:read("*a")
file:close()
wrk.headers["content-type"] = os.getenv("BENCH_TYPE")

local fresh = os.getenv("BENCH_FRESH")
if fresh then
  local before, after
  math.randomseed(tonumber(os.getenv("BENCH_SEED")))
  local function digits()
    return string.format("%04x%04x", math.random(0, 65535), math.random(0, 65535))
  end
  function request()
    if not before then
      wrk.headers[fresh] = "@@"
      before, after = wrk.format():match("^(.-)@@(.*)$")
    end
    return before .. digits() .. digits() .. digits() .. digits() .. after
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"rate": %f, "p50": %f, "p99": %f, "errors": %d}\n',
    summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1000,
    latency:percentile(99) / 1000,
    e.connect + e.read + e.write + e.status + e.timeout))
end
