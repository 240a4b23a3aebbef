-- USES: context fail
-- The name of an ordered language pair under which its jobs wait.
local function pair_of(src_lang, tgt_lang)
  if src_lang == tgt_lang then
    fail('INVALID_FIELD', 'tgt_lang equals src_lang: no job waits for such a pair')
  end
  return src_lang .. ':' .. tgt_lang
end
