-- Stores ARGV[2] under KEYS[1], or deletes the key where ARGV[2] is empty, if what is stored
-- begins with ARGV[1]; an empty ARGV[1] stands for nothing stored. Answers whether it did, 1 or 0.
-- One byte is read at least, because a stored value is never empty and a missing one always is.
if redis.call('GETRANGE', KEYS[1], 0, math.max(#ARGV[1], 1) - 1) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
return 1
