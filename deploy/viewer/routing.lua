-- As a routing rule in a hospital does: every MR series goes to the node once nothing new has come for StableAge seconds.
function OnStableSeries(series, tags, metadata)
  if tags['Modality'] == 'MR' then
    RestApiPost('/modalities/wmhnode/store', series)
  end
end
