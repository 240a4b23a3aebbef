-- USES: check_json check_id split_pool_name whole in_bytes
-- Read pool_names_json, the only way into a pool: [{"id": 1, "name": "en-zh"}, …], sorted by id.
local function check_pools(field, value)
  check_json(field, value)
  local entries = cjson.decode(value)
  if type(entries) ~= 'table' or (next(entries) ~= nil and #entries == 0) or find(value, '^%s*{') then
    fail('INVALID_FIELD', field .. ' is no list: give [{"id": 1, "name": "en-zh"}]')
  end
  if #entries > limit.pools then
    fail('INVALID_FIELD', field .. ' lists more than ' .. limit.pools .. ' pools: give fewer')
  end
  local pools, seen = {}, {}
  for i = 1, #entries do
    local entry = entries[i]
    if type(entry) ~= 'table' or type(entry.name) ~= 'string' then
      fail('INVALID_FIELD', field .. ' entry ' .. i .. ' has no "name": give {"id": 1, "name": "en-zh"}')
    end
    local name = check_id(field .. ': a pool name', entry.name)
    if find(name, '*', 1, true) then
      fail('INVALID_FIELD', field .. ': ' .. format('%q', name) .. ' holds *: name each language')
    end
    local pool_id = entry.id
    if pool_id == nil or pool_id == cjson.null then
      pool_id = name -- every node that leaves the id out computes the same one
    elseif type(pool_id) == 'number' and pool_id % 1 == 0 and pool_id >= 0 and pool_id < 1e15 then
      pool_id = whole(pool_id)
    elseif type(pool_id) ~= 'string' or not find(pool_id, '^[%w._-]+$') or #pool_id > limit.id then
      fail('INVALID_FIELD', field .. ' entry ' .. i .. ' has a bad "id": give a whole number, or letters, digits, dot, hyphen and underscore')
    end
    if seen[pool_id] then
      fail('INVALID_FIELD', field .. ' repeats the id ' .. pool_id .. ': give each pool once')
    end
    seen[pool_id] = true
    pools[i] = { id = pool_id, name = name, languages = split_pool_name(entry, name) }
  end
  sort(pools, function(a, b)
    return in_bytes(a.id, b.id)
  end)
  return pools
end
