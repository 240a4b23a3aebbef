-- The pools of a node, as pool_names_json lists them.

-- The languages of one entry: its own list, or its name where that can be read in one way only.
local function split_pool_name(entry, name, most)
  local codes, listed = {}, entry.languages
  if listed ~= nil then
    if type(listed) ~= 'table' then
      refuse_event('INVALID_FIELD', 'pool_names_json: "languages" of ' .. format('%q', name) .. ' is no list: give ["zh-Hant","en"]')
    end
    for i = 1, #listed do
      codes[i] = check_lang('pool_names_json: a language of ' .. format('%q', name), type(listed[i]) == 'string' and listed[i] or '?', most)
    end
    if concat(codes, '-') ~= name then
      refuse_event('INVALID_FIELD', 'pool_names_json: ' .. format('%q', name) .. ' is not its "languages" joined by hyphens: make the two agree')
    end
  else
    for code in gmatch(name .. '-', '([^-]*)-') do
      -- A primary language has two or three lower-case letters; anything else may belong to the code before it.
      if not find(code, '^%l%l%l?$') then
        refuse_event('INVALID_FIELD', 'pool_names_json: ' .. format('%q', name) .. ' can be read in more than one way: list its "languages" beside the name')
      end
      codes[#codes + 1] = code
    end
  end
  if #codes < 2 then
    refuse_event('INVALID_FIELD', 'pool_names_json: ' .. format('%q', name) .. ' names one language: a pool serves at least two, such as en-zh')
  end
  if #codes > limit.languages then
    refuse_event('INVALID_FIELD', 'pool_names_json: ' .. format('%q', name) .. ' names more than ' .. limit.languages .. ' languages: split the pool')
  end
  local seen = {}
  for i = 1, #codes do
    if seen[codes[i]] then
      refuse_event('INVALID_FIELD', 'pool_names_json: ' .. format('%q', name) .. ' names ' .. codes[i] .. ' twice: name each language once')
    end
    seen[codes[i]] = true
  end
  return codes
end

-- Read pool_names_json, the only way into a pool: [{"id": 1, "name": "en-zh"}, …], sorted by id.
local function check_pools(field, value, most)
  check_json(field, value, most)
  local entries = cjson.decode(value)
  if type(entries) ~= 'table' or (next(entries) ~= nil and #entries == 0) or find(value, '^%s*{') then
    refuse_event('INVALID_FIELD', field .. ' is no list: give [{"id": 1, "name": "en-zh"}]')
  end
  if #entries > limit.pools then
    refuse_event('INVALID_FIELD', field .. ' lists more than ' .. limit.pools .. ' pools: give fewer')
  end
  local pools, seen, pairs_of_all = {}, {}, 0
  for i = 1, #entries do
    local entry = entries[i]
    if type(entry) ~= 'table' or type(entry.name) ~= 'string' then
      refuse_event('INVALID_FIELD', field .. ' entry ' .. i .. ' has no "name": give {"id": 1, "name": "en-zh"}')
    end
    local name = check_id(field .. ': a pool name', entry.name, limit.id)
    if find(name, '*', 1, true) then
      refuse_event('INVALID_FIELD', field .. ': ' .. format('%q', name) .. ' holds *: name each language')
    end
    local pool_id = entry.id
    if pool_id == nil or pool_id == cjson.null then
      pool_id = name -- every node that leaves the id out computes the same one
    elseif type(pool_id) == 'number' and pool_id % 1 == 0 and pool_id >= 0 and pool_id < 1e15 then
      pool_id = format_int(pool_id)
    elseif type(pool_id) ~= 'string' or not find(pool_id, '^[%w._-]+$') or #pool_id > limit.id then
      refuse_event('INVALID_FIELD', field .. ' entry ' .. i .. ' has a bad "id": give a whole number, or letters, digits, dot, hyphen and underscore')
    end
    if seen[pool_id] then
      refuse_event('INVALID_FIELD', field .. ' repeats the id ' .. pool_id .. ': give each pool once')
    end
    seen[pool_id] = true
    pools[i] = { id = pool_id, name = name, languages = split_pool_name(entry, name, limit.lang) }
    pairs_of_all = pairs_of_all + #pools[i].languages * (#pools[i].languages - 1)
  end
  if pairs_of_all > limit.pairs then
    refuse_event('INVALID_FIELD', field .. ' has ' .. pairs_of_all .. ' language pairs in all: give at most ' .. limit.pairs
      .. ' a node, by fewer languages a pool')
  end
  sort(pools, function(a, b)
    return bytes_before(a.id, b.id)
  end)
  return pools
end
