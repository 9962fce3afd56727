"""What is done in the store in one step, so that two nodes can't do it at once: Lua, run by the server.

Times are the store's own, in milliseconds, so that nodes' clocks don't matter. Redis 5 or newer, and Valkey.
"""

from __future__ import annotations

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# KEYS: the node. ARGV: milliseconds until others take it for dead.
ALIVE = """
return redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
"""

# ---- prompts

# KEYS: the user's prompt, pause, the denial of this login. ARGV: the claim, or '' to look only; milliseconds.
# Returns {'mine'}, {'held', why}, {'denied', status}, {'taken', claim} or {'free'}.
CLAIM = """
local why = redis.call('GET', KEYS[2])
if why then return {'held', why} end
local status = redis.call('GET', KEYS[3])
if status then return {'denied', status} end
local claim = redis.call('GET', KEYS[1])
if claim then return {'taken', claim} end
if ARGV[1] == '' then return {'free'} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'mine'}
"""

# KEYS: the user's prompt, who joins it. ARGV: its claim, node and token of who joins, milliseconds. Returns 1, or 0: it
# is over.
JOIN = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
"""

# KEYS: the user's prompt, the node that has it. ARGV: its claim. It is dropped if that node has died.
BURY = """
if redis.call('EXISTS', KEYS[2]) == 0 and redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""

# KEYS: a node's inbox. Returns what is in it, which is taken out.
COLLECT = """
local messages = redis.call('LRANGE', KEYS[1], 0, -1)
redis.call('DEL', KEYS[1])
return messages
"""

# KEYS: for each, a user's prompt and the node that has it. ARGV: their claims. Returns the numbers of those that are
# gone.
WATCH = """
local gone = {}
for number, claim in ipairs(ARGV) do
  if redis.call('GET', KEYS[2 * number - 1]) ~= claim or redis.call('EXISTS', KEYS[2 * number]) == 0 then
    gone[#gone + 1] = number
  end
end
return gone
"""

# KEYS: the user's prompt, who joined it, the user's failures, pause, the denial of this login.
# ARGV: the claim, its token, how it ended ('', 'allowed', 'failed', 'fraud'), the cloud's word, milliseconds of the
# denial, most failures, their window, the pause, the pause after a fraud.
# Returns who joined, and why the user is spared from now on.
FINISH = (
    _NOW
    + """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
local joined = redis.call('SMEMBERS', KEYS[2])
redis.call('DEL', KEYS[2])
if tonumber(ARGV[5]) > 0 then redis.call('SET', KEYS[5], ARGV[4], 'PX', ARGV[5]) end
local why = ''
if ARGV[3] == 'fraud' and tonumber(ARGV[9]) > 0 then
  why = 'push_fraud'
  redis.call('SET', KEYS[4], why, 'PX', ARGV[9])
elseif ARGV[3] == 'failed' and tonumber(ARGV[6]) > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[7])
  redis.call('ZREMRANGEBYSCORE', KEYS[3], now + 1000, '+inf') -- its clock was set back
  redis.call('ZADD', KEYS[3], now, ARGV[2])
  redis.call('PEXPIRE', KEYS[3], ARGV[7])
  if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[6]) then
    why = 'push_paused'
    redis.call('DEL', KEYS[3])
    redis.call('SET', KEYS[4], why, 'PX', ARGV[8])
  end
end
return {joined, why}
"""
)

# KEYS: a node's inbox. ARGV: what to put into it; milliseconds.
TELL = """
redis.call('RPUSH', KEYS[1], ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

# ---- challenges

# KEYS: what is kept with one. ARGV: it, sealed; milliseconds.
KEEP = """
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
"""

# KEYS: that it was answered, what is kept with it. ARGV: milliseconds. Returns {first, what is kept or ''}.
ANSWER = """
local first = redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1])
return {first and 1 or 0, redis.call('GET', KEYS[2]) or ''}
"""

# ---- wrong passwords

# KEYS: the user's attempts. ARGV: a token, how many there may be, the window, milliseconds after which an undecided one
# counts as wrong for good. Returns {1}: this one may be made; {0, how many others are undecided} if not.
ATTEMPT = (
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + 1000, '+inf') -- its clock was set back
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('ZADD', KEYS[1], now, 'u' .. ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {1}
end
local undecided = 0
for _, attempt in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now - ARGV[4], '+inf')) do
  if string.sub(attempt, 1, 1) == 'u' then undecided = undecided + 1 end
end
return {0, undecided}
"""
)

# KEYS: the user's attempts. ARGV: the token, the window, how it ended: 'right', 'wrong', or '' if it wasn't decided;
# milliseconds as above. A right one ends the count, but for the attempts that are still undecided.
DECIDED = (
    _NOW
    + """
redis.call('ZREM', KEYS[1], 'u' .. ARGV[1])
if ARGV[3] == 'right' then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[4])
  for _, attempt in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf')) do
    if string.sub(attempt, 1, 1) == 'f' then redis.call('ZREM', KEYS[1], attempt) end
  end
elseif ARGV[3] == 'wrong' then
  redis.call('ZADD', KEYS[1], now, 'f' .. ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
"""
)
