-- An operator lets the jobs of a paused language pair go to nodes again.
-- FIELDS: src_lang:lang tgt_lang:lang reason?:text request_id?:id
-- USES: touch pair_of set_pause requested_before
local pair = pair_of(src_lang, tgt_lang)
if requested_before(e, pair) then
  return
end
set_pause('pair ' .. pair, false)
touch('pair', pair)
