-- Reads what follows the last event that a node has, in one snapshot; and looks whether the log is
-- still the one that the node knows.
--
-- KEYS as in `Keys`, in Rust. ARGV: the epoch and the offset that the node knows, and the number of
-- that event, each 0 if it knows none; an epoch that no log has had; the events and bytes of a page.
--
-- Answers {epoch, offset through which is read, offset of the last event, now, page, forgotten,
-- lost}. A page is of {offset, event, when}; what was dropped of its range is in the last two.
local log, events, index, bytes, lost, lost_order, keys, keys_order = unpack(KEYS)
local known_epoch, seen, number, next_epoch = unpack(ARGV, 1, 4)
local page_events, page_bytes = tonumber(ARGV[5]), tonumber(ARGV[6])

local state = redis.call('HMGET', log, 'epoch', 'offset', 'kept')
local epoch, last = state[1], state[2]

local function begin()
  if epoch and tonumber(epoch) >= tonumber(next_epoch) then
    next_epoch = string.format('%.0f', tonumber(epoch) + 1)
  end
  epoch = next_epoch
  -- A Redis that is full refuses the first write of a script, unless it takes something away.
  redis.call('HDEL', log, 'epoch')
  redis.call('HSET', log, 'epoch', epoch)
end

local function is_same()
  if tonumber(last) < tonumber(seen) then return false end
  local entry = redis.call('XRANGE', index, seen .. '-1', seen .. '-1')[1]
  -- One that was dropped cannot be compared.
  return number == '0' or not entry or cjson.decode(entry[2][2]).number == number
end

if not epoch or redis.call('XLEN', events) ~= tonumber(state[3])
    or redis.call('XLEN', index) ~= tonumber(state[3]) then
  -- Something else than these scripts took parts of it: what is left cannot be told from what was.
  redis.call('UNLINK', events, index, bytes, lost, lost_order, keys, keys_order)
  begin()
  last = last or '0'
  redis.call('HSET', log, 'offset', last, 'kept', 0, 'bytes', 0,
    'forgotten', last .. ' ' .. last .. ' ' .. last)
elseif tonumber(epoch) < tonumber(known_epoch) or epoch == known_epoch and not is_same() then
  -- An older epoch may not go on: what it said after this is not what it would say now.
  begin()
end
if epoch ~= known_epoch then seen = '0' end

-- A head may be as large as its event: no more of them are looked at than a page has room for, and
-- as many as come in one go.
local fit, room, is_full, first, fit_last = 0, page_bytes, false, nil, seen .. '-1'
repeat
  local count = math.min(64, page_events - fit)
  local heads = redis.call('XRANGE', index, '(' .. fit_last, '+', 'COUNT', count)
  for _, entry in ipairs(heads) do
    room = room - cjson.decode(entry[2][2]).cost
    is_full = fit > 0 and room < 0
    if is_full then break end
    fit = fit + 1
    first, fit_last = first or entry[1], entry[1]
  end
  is_full = is_full or fit == page_events
until is_full or #heads < count
local through, page = last, {}
if fit > 0 then
  -- The two have the same entries.
  for _, entry in ipairs(redis.call('XRANGE', events, first, fit_last)) do
    table.insert(page, {string.match(entry[1], '^%d+'), entry[2][2], tonumber(entry[2][4])})
  end
  if is_full then through = string.match(fit_last, '^%d+') end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {epoch, through, last, now, page, '', {}}
if tonumber(through) - tonumber(seen) ~= #page then
  answer[6] = redis.call('HGET', log, 'forgotten') or '0 0 0'
  answer[7] = redis.call('HGETALL', lost)
end
return answer
