-- Adds an event, or says why not. What the limits do not leave room for goes first, as in
-- hub::log: the oldest of its canonical channel, then the oldest of all.
--
-- KEYS as in `Keys`, in Rust. ARGV: the epoch and the offset that the node knows; the event; what
-- is known of it without reading it (cost, topics, class, number); its idempotency key, or nothing;
-- the limits; what stands before a channel's name.
--
-- Answers {what, offset}: new, known; lost (the node has to look: its epoch is over); again (so much
-- had to go that others should have their turn).
local log, events, index, bytes, lost, lost_order, keys, keys_order = unpack(KEYS)
local epoch, seen, event, head, key = unpack(ARGV, 1, 5)
local max = cjson.decode(ARGV[6])
local channel_prefix = ARGV[7]

local state = redis.call('HMGET', log, 'epoch', 'offset', 'kept', 'bytes')
if state[1] ~= epoch or tonumber(state[2]) < tonumber(seen)
    or redis.call('XLEN', events) ~= tonumber(state[3])
    or redis.call('XLEN', index) ~= tonumber(state[3]) then return {'lost', 0} end
if key ~= '' then
  local known = redis.call('HGET', keys, key)
  if known then return {'known', tonumber(known)} end
end

local new = cjson.decode(head)
local topic = new.topics[1]
local channel = channel_prefix .. topic
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local kept, all_bytes = tonumber(state[3]), tonumber(state[4])
local drops = 0

local function join(text, class, through)
  local by_class = {}
  for number in string.gmatch(text or '0 0 0', '%d+') do table.insert(by_class, number) end
  if tonumber(through) > tonumber(by_class[class]) then by_class[class] = through end
  return table.concat(by_class, ' ')
end

-- Remembers that a channel has lost an event. Of the channel that lost something longest ago it is
-- then said of all that are not known.
local function lose(name, class, offset)
  redis.call('HSET', lost, name, join(redis.call('HGET', lost, name), class, offset))
  redis.call('ZADD', lost_order, offset, name)
  if redis.call('ZCARD', lost_order) <= max.channels then return end
  local forgotten = redis.call('ZPOPMIN', lost_order)[1]
  local through, all = redis.call('HGET', lost, forgotten), redis.call('HGET', log, 'forgotten')
  local index_of = 0
  for number in string.gmatch(through or '', '%d+') do
    index_of = index_of + 1
    all = join(all, index_of, number)
  end
  redis.call('HDEL', lost, forgotten)
  redis.call('HSET', log, 'forgotten', all or '0 0 0')
end

local function drop(entry)
  local offset = string.match(entry[1], '^%d+')
  local old = cjson.decode(entry[2][2])
  -- Each of its channels takes its own time.
  drops = drops + #old.topics
  local own = old.topics[1]
  redis.call('XDEL', events, entry[1])
  redis.call('XDEL', index, entry[1])
  redis.call('LREM', channel_prefix .. own, 1, offset)
  if redis.call('HINCRBY', bytes, own, -old.cost) <= 0 then redis.call('HDEL', bytes, own) end
  kept = redis.call('HINCRBY', log, 'kept', -1)
  all_bytes = redis.call('HINCRBY', log, 'bytes', -old.cost)
  for _, name in ipairs(old.topics) do lose(name, old.class, offset) end
end

while redis.call('LLEN', channel) >= max.events
    or tonumber(redis.call('HGET', bytes, topic) or 0) + new.cost > max.bytes do
  if drops >= max.drops then return {'again', 0} end
  local offset = redis.call('LINDEX', channel, 0)
  if not offset then break end
  local oldest = redis.call('XRANGE', index, offset .. '-1', offset .. '-1')[1]
  if oldest and cjson.decode(oldest[2][2]).topics[1] == topic then
    drop(oldest)
  else
    -- Of a log that is gone.
    redis.call('LPOP', channel)
    drops = drops + 1
  end
end
while true do
  local oldest = redis.call('XRANGE', index, '-', '+', 'COUNT', 1)[1]
  if not oldest or (kept < max.all_events and all_bytes + new.cost <= max.all_bytes
      and now - oldest[2][4] <= max.age_ms) then break end
  if drops >= max.drops then return {'again', 0} end
  drop(oldest)
end

local offset = string.format('%.0f', redis.call('HINCRBY', log, 'offset', 1))
redis.call('HINCRBY', log, 'kept', 1)
redis.call('HINCRBY', log, 'bytes', new.cost)
redis.call('HINCRBY', bytes, topic, new.cost)
redis.call('RPUSH', channel, offset)
-- All that it names is older than that by then, and gone.
redis.call('PEXPIRE', channel, string.format('%.0f', 2 * max.age_ms + 3600000))
redis.call('XADD', index, offset .. '-1', 'head', head, 'at', now)
redis.call('XADD', events, offset .. '-1', 'event', event, 'at', now)
if key ~= '' then
  redis.call('HSET', keys, key, offset)
  redis.call('RPUSH', keys_order, key)
  if redis.call('LLEN', keys_order) > max.keys then
    redis.call('HDEL', keys, redis.call('LPOP', keys_order))
  end
end
return {'new', tonumber(offset)}
