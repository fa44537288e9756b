-- Takes units for a user from the accounts KEYS[1], the project's, and KEYS[2], the user's, where both have room for them now
-- or soon. Answers how many, what to name the grant in reports, and in how much time they may be spent, or where there are none
-- after how long to ask again.
--
-- An account is a hash:
--   n     units of the tick n: spent in it, or granted to be spent until then at the latest
--   pn    of them, those for people
--   sum   of all ticks;  people  of those for people
--   low   the first tick that there may be
--   paid  until when what was granted lasts at an even pace
--   quiet until when Google wants to be left alone
--   asked[0] and asked[1]: until when background work, and people, are expected to ask again that were denied units
-- Times are microseconds of this server's clock. Units of a tick come back when it is a window old.

local need, want, class = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local limits = { tonumber(ARGV[4]), tonumber(ARGV[5]) }
local quiets = { tonumber(ARGV[6]), tonumber(ARGV[7]) }
local window, tick, second = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local reach, patience = tonumber(ARGV[11]), tonumber(ARGV[12])
local unasked = tonumber(ARGV[13])
-- From ARGV[14] on: reports, of three each.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local this = math.ceil(now / tick)

local function number(text) return tonumber(text or 0) or 0 end

-- open reads an account and forgets what has come back.
local function open(key, limit)
  local f = redis.call('HMGET', key, 'sum', 'people', 'low', 'paid', 'quiet', 'asked0', 'asked1')
  local a = {
    key = key, limit = math.max(limit, need), sum = number(f[1]), people = number(f[2]), low = tonumber(f[3] or this),
    paid = number(f[4]), quiet = number(f[5]), asked = { [0] = number(f[6]), [1] = number(f[7]) },
  }
  local past, names = math.floor((now - window) / tick), {}
  -- Of what was written together the last tick is less than two windows after the first.
  for n = a.low, math.min(past, a.low + 1000) do
    names[#names + 1] = n
    names[#names + 1] = 'p' .. n
  end
  if #names > 0 then
    local units = redis.call('HMGET', key, unpack(names))
    for i = 1, #names, 2 do
      a.sum = a.sum - number(units[i])
      a.people = a.people - number(units[i + 1])
    end
    redis.call('HDEL', key, unpack(names))
  end
  a.low = math.max(a.low, past + 1)
  return a
end

local function count(key, field, units)
  if redis.call('HINCRBY', key, field, units) == 0 then redis.call('HDEL', key, field) end
end

-- add counts units in a tick.
local function add(a, n, units, people)
  if units == 0 then return end
  count(a.key, n, units)
  a.sum = a.sum + units
  if people == 1 then
    count(a.key, 'p' .. n, units)
    a.people = a.people + units
  end
  a.low = math.min(a.low, n)
end

-- report moves what was spent of a grant to this tick, and gives back what was not, unless it has all come back already.
local function report(a, id, spent, unused)
  local n, people = math.floor(id / 2), id % 2
  if number(redis.call('HGET', a.key, n)) >= spent + unused then
    add(a, n, -(spent + unused), people)
    add(a, this, spent, people)
  end
end

-- back returns in how much time so many units more, or of people's so many, will have come back.
local function back(a, units, people)
  -- Most often the next ticks will do; all that there are have to be sorted.
  local prefix, names = people and 'p' or '', {}
  local soon = math.floor((now + second - window) / tick)
  for n = a.low, soon do names[#names + 1] = prefix .. n end
  if #names > 0 then
    for i, came in ipairs(redis.call('HMGET', a.key, unpack(names))) do
      units = units - number(came)
      if units <= 0 then return (a.low + i - 1) * tick + window - now end
    end
  end
  local all, ticks, of = redis.call('HGETALL', a.key), {}, {}
  for i = 1, #all, 2 do
    local n = tonumber(string.match(all[i], '^' .. prefix .. '(%d+)$'))
    if n and n > soon then
      ticks[#ticks + 1] = n
      of[n] = tonumber(all[i + 1])
    end
  end
  table.sort(ticks)
  for _, n in ipairs(ticks) do
    units = units - of[n]
    if units <= 0 then return n * tick + window - now end
  end
  return patience
end

local tenth = 0.1
local function forPeople(a) return a.limit - math.floor(tenth * a.limit) end

-- crowded tells whether people, who have had their part of an account, wait for more: then background work gets its own.
local function crowded(a) return a.asked[1] > now and a.people >= forPeople(a) end

-- wait returns for how long an account can't grant what is needed, and whether for want of units. Background work in haste does
-- not keep to the even pace, for which people would hold it up for ever.
local function wait(a, haste)
  if a.quiet > now then return a.quiet - now, false end
  local time, wanting = 0, false
  local excess = a.sum + need - a.limit
  if excess > 0 then time, wanting = back(a, excess, false), true end
  if class == 1 then
    -- People leave a tenth to background work that waits.
    excess = a.people + need - forPeople(a)
    if excess > 0 and a.people > 0 and a.asked[0] > now then
      time, wanting = math.max(time, back(a, math.min(excess, a.people), true)), true
    end
  elseif a.asked[1] > now and not crowded(a) then
    time, wanting = math.max(time, a.asked[1] - now), true
  elseif not haste then
    time = math.max(time, a.paid - now)
  end
  return time, wanting
end

-- grantable returns how many units, from need to want, an account can grant at once.
local function grantable(a)
  local units = a.limit - a.sum
  if class == 1 then
    if a.asked[0] > now then units = math.min(units, forPeople(a) - a.people) end
  else
    units = math.min(units, math.floor((now - math.max(a.paid, now - second)) * a.limit / window))
  end
  return math.max(need, math.min(want, units))
end

local accounts = { open(KEYS[1], limits[1]), open(KEYS[2], limits[2]) }
for i, a in ipairs(accounts) do
  for j = 14, #ARGV, 3 do report(a, tonumber(ARGV[j]), tonumber(ARGV[j + 1]), tonumber(ARGV[j + 2])) end
  add(a, this, unasked, 0)
  a.quiet = math.max(a.quiet, now + quiets[i])
end
local longest, units, haste = 0, want, crowded(accounts[2])
for _, a in ipairs(accounts) do
  local time
  time, a.wanting = wait(a, haste or crowded(a))
  longest = math.max(longest, time)
  units = math.min(units, grantable(a))
end
-- Who has to wait a moment is promised what will be there then: so he asks once. People are promised more than background
-- work, so that there is always something left for them.
local ahead = second * (1 + class) / 2
if longest > ahead then
  -- Not all who are told so should come back at the same time.
  units, longest = 0, math.min(longest - ahead + now % 997 / 997 * second / 2, patience) + 1000
elseif longest > 0 then
  units = need
end
local last = math.ceil((now + longest + reach) / tick)
for _, a in ipairs(accounts) do
  if units > 0 then
    add(a, last, units, class)
    a.paid = math.max(a.paid, now - second) + units * window / a.limit
    a.asked[class] = 0
  elseif a.wanting then
    a.asked[class] = now + longest + second
  end
  redis.call('HSET', a.key, 'sum', a.sum, 'people', a.people, 'low', a.low, 'paid', math.ceil(a.paid),
    'quiet', a.quiet, 'asked0', a.asked[0], 'asked1', a.asked[1])
  redis.call('PEXPIRE', a.key, math.ceil((window + reach + 2 * second + math.max(a.quiet - now, 0)) / 1000))
end
return { units, last * 2 + class, math.ceil(longest) }
