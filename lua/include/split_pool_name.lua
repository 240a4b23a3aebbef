-- USES: fail check_lang context
-- The languages of one pool entry: its own list, or its name where that can be read in one way only.
local function split_pool_name(entry, name)
  local codes, listed = {}, entry.languages
  if listed ~= nil then
    if type(listed) ~= 'table' then
      fail('INVALID_FIELD', 'pool_names_json: "languages" of ' .. format('%q', name) .. ' is no list: give ["zh-Hant","en"]')
    end
    for i = 1, #listed do
      codes[i] = check_lang('pool_names_json: a language of ' .. format('%q', name), type(listed[i]) == 'string' and listed[i] or '?')
    end
    if concat(codes, '-') ~= name then
      fail('INVALID_FIELD', 'pool_names_json: ' .. format('%q', name) .. ' is not its "languages" joined by hyphens: make the two agree')
    end
  else
    for code in gmatch(name .. '-', '([^-]*)-') do
      -- A primary language has two or three lower-case letters; anything else may belong to the code before it.
      if not find(code, '^%l%l%l?$') then
        fail('INVALID_FIELD', 'pool_names_json: ' .. format('%q', name) .. ' can be read in more than one way: list its "languages" beside the name')
      end
      codes[#codes + 1] = code
    end
  end
  if #codes < 2 then
    fail('INVALID_FIELD', 'pool_names_json: ' .. format('%q', name) .. ' names one language: a pool serves at least two, such as en-zh')
  end
  if #codes > limit.languages then
    fail('INVALID_FIELD', 'pool_names_json: ' .. format('%q', name) .. ' names more than ' .. limit.languages .. ' languages: split the pool')
  end
  local seen = {}
  for i = 1, #codes do
    if seen[codes[i]] then
      fail('INVALID_FIELD', 'pool_names_json: ' .. format('%q', name) .. ' names ' .. codes[i] .. ' twice: name each language once')
    end
    seen[codes[i]] = true
  end
  return codes
end
