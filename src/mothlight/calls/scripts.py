"""What Redis does in one step: Lua, for several commands in a row would be torn by other replicas.

mothlight:call:PLACE     hash: by (replica), token, method, digest, state, created, ended, items,
                         first, problem, reply, stop; never_ran: 1, the same key begins it anew
mothlight:items:PLACE    stream: item number n has the id n-0
mothlight:latest:KEY     "PLACE REPLICA" of the newest call with a supersede key
mothlight:replica:ID     there for as long as the replica lives
mothlight:to:ID          channel: what a replica is told
"""

from __future__ import annotations

_RUNS = """
local function runs(state) return state == 'queued' or state == 'running' end
"""

_SUPERSEDE = """
local function supersede(latest, place, me, ttl)
  local mine = place .. ' ' .. me
  local old = redis.call('GET', latest)
  redis.call('SET', latest, mine, 'PX', ttl)
  if not old or old == mine then return end
  local other, by = string.match(old, '(%S+) (%S+)')
  local call = 'mothlight:call:' .. other
  if runs(redis.call('HGET', call, 'state')) then redis.call('HSET', call, 'stop', 'superseded') end
  redis.call('PUBLISH', 'mothlight:to:' .. by, 'stop ' .. other .. ' superseded')
end
"""

_WAKE = """
local function wake(place, from)
  for i = from, #ARGV do redis.call('PUBLISH', 'mothlight:to:' .. ARGV[i], 'wake ' .. place) end
end
"""

CLAIM = f"""{_RUNS}{_SUPERSEDE}
local me, token, method, digest, now, ttl, place, may = unpack(ARGV)
local found = redis.call('HMGET', KEYS[1], 'by', 'token', 'digest', 'method', 'never_ran')
local known = found[1] and not (found[5] == '1' and found[3] == digest)
if known and (found[1] ~= me or found[2] ~= token) then
  return {{found[1], found[3], found[4]}}
end
if not known then
  if may == '0' then return false end
  -- Only where it is there: after its first write a script is let fill a Redis that is full.
  if found[1] then redis.call('DEL', KEYS[1]) end
  redis.call('HSET', KEYS[1], 'by', me, 'token', token, 'method', method, 'digest', digest,
    'state', 'queued', 'created', now, 'items', 0, 'first', 0)
  redis.call('PEXPIRE', KEYS[1], ttl)
end
if KEYS[2] then supersede(KEYS[2], place, me, ttl) end
return {{}}
"""
"""Makes a call this replica's, unless somebody has it, or had it run: then who, and what it is."""

LATEST = f"""{_RUNS}{_SUPERSEDE}
local me, ttl, place = unpack(ARGV)
supersede(KEYS[1], place, me, ttl)
"""
"""Says that a call is the newest with its supersede key; the one before is stopped."""

UNLATEST = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""

_LOOK = f"""{_RUNS}
local function look()
  local now, keep, judges, problem = unpack(ARGV)
  local f = redis.call('HMGET', KEYS[1], 'by', 'state', 'method', 'digest', 'created', 'ended',
    'items', 'first', 'problem')
  if not f[1] then return false end
  local is_dead = judges == '1' and redis.call('EXISTS', 'mothlight:replica:' .. f[1]) == 0
  if runs(f[2]) and is_dead then
    redis.call('HSET', KEYS[1], 'state', 'failed', 'ended', now, 'problem', problem)
    redis.call('PEXPIRE', KEYS[1], keep)
    redis.call('PEXPIRE', KEYS[2], keep)
    f[2], f[6], f[9] = 'failed', now, problem
  end
  return f
end
"""

LOOK = f"{_LOOK} return look()"
"""What is known of a call; one whose replica has died is ended."""

READ = f"""{_LOOK}
local f = look()
if not f then return false end
local me, place, reader, after, most = unpack(ARGV, 5)
f[10] = redis.call('HGET', KEYS[1], 'reply')
f[11] = {{}}
if tonumber(after) < tonumber(f[7]) then  -- else it may be more than Redis can count
  f[11] = redis.call('XRANGE', KEYS[2], (after + 1) .. '-0', '+', 'COUNT', most)
end
if runs(f[2]) then
  local told = table.concat({{'at', place, me, reader, after}}, ' ')
  redis.call('PUBLISH', 'mothlight:to:' .. f[1], told)
end
return f
"""
"""The same, with its answer, or the items after a number; its replica hears of the reader."""

APPEND = f"""{_RUNS}{_WAKE}
local me, token, place, first, start, ttl, count = unpack(ARGV)
local f = redis.call('HMGET', KEYS[1], 'by', 'token', 'state', 'items', 'stop')
if not f[1] then return 'gone' end
if f[1] ~= me or f[2] ~= token or not runs(f[3]) then return 'lost' end
local has = tonumber(f[4])
start, first, count = tonumber(start), tonumber(first), tonumber(count)
if start > has and start > first then return has end
for i = 1, count do
  if start + i > has then redis.call('XADD', KEYS[2], (start + i) .. '-0', 'p', ARGV[7 + i]) end
end
redis.call('XTRIM', KEYS[2], 'MINID', (first + 1) .. '-0')
redis.call('HSET', KEYS[1], 'state', 'running', 'items', math.max(has, start + count),
  'first', first)
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('PEXPIRE', KEYS[2], ttl)
wake(place, 8 + count)
return {{f[5]}}
"""
"""Adds items of a call that runs here, says that it runs, and wakes its readers. 'gone': Redis has
lost it; 'lost': it has ended for the others; a number: Redis has only so many items."""

END = f"""{_RUNS}{_WAKE}
local me, token, place, state, ended, keep, problem, reply, never_ran = unpack(ARGV)
local f = redis.call('HMGET', KEYS[1], 'by', 'token', 'state', 'ended')
if not f[1] then return 'gone' end
if f[1] ~= me or f[2] ~= token then return 'lost' end
if f[4] == ended then return {{}} end
if not runs(f[3]) then return 'lost' end
redis.call('HSET', KEYS[1], 'state', state, 'ended', ended, 'problem', problem, 'reply', reply,
  'never_ran', never_ran)
redis.call('PEXPIRE', KEYS[1], keep)
redis.call('PEXPIRE', KEYS[2], keep)
if KEYS[3] and redis.call('GET', KEYS[3]) == place .. ' ' .. me then redis.call('DEL', KEYS[3]) end
wake(place, 10)
return {{}}
"""

FORGET = """
local f = redis.call('HMGET', KEYS[1], 'by', 'token')
if f[1] == ARGV[1] and (f[2] == ARGV[2] or ARGV[2] == '') then
  redis.call('DEL', KEYS[1], KEYS[2])
  if KEYS[3] and redis.call('GET', KEYS[3]) == ARGV[3] .. ' ' .. ARGV[1] then
    redis.call('DEL', KEYS[3])
  end
end
"""

STOP = f"""{_RUNS}
local f = redis.call('HMGET', KEYS[1], 'by', 'state')
if f[1] and runs(f[2]) then
  redis.call('HSET', KEYS[1], 'stop', ARGV[2])
  redis.call('PUBLISH', 'mothlight:to:' .. f[1], 'stop ' .. ARGV[1] .. ' ' .. ARGV[2])
end
"""

RENEW = """
local stops = {}
for i = 1, #KEYS, 3 do
  for j = i, i + 2 do redis.call('PEXPIRE', KEYS[j], ARGV[1]) end
  stops[#stops + 1] = redis.call('HGET', KEYS[i], 'stop')
end
return stops
"""
"""Keeps calls, by threes of their keys; why each is to stop, if it is."""

DEL = "redis.call('DEL', unpack(KEYS))"

KEEP = """
for i = 1, 2 do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
"""

BEAT = """
local had = redis.call('EXISTS', KEYS[1])
redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])
local alive = {had}
for i = 2, #KEYS do alive[i] = redis.call('EXISTS', KEYS[i]) end
return alive
"""
"""Says that a replica lives; whether it was known to, and whether the others do."""
