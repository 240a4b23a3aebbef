-- An operator keeps the jobs of a language pair waiting, whichever pools serve it; what nodes hold of it goes on.
-- FIELDS: src_lang:lang tgt_lang:lang reason?:text request_id?:id
-- USES: touch pair_of set_pause requested_before
local pair = pair_of(src_lang, tgt_lang)
if requested_before(e, pair) then
  return
end
set_pause('pair ' .. pair, true, reason)
touch('pair', pair)
