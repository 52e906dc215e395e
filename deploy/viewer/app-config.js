// OHIF beside Orthanc: served in place of the app-config.js that OHIF's package carries.
// The same server answers under /dicom-web, so nothing here names a host.
window.config = {
  routerBasename: null,
  extensions: [],
  modes: [],
  customizationService: {
    'ohif.tours': { $set: [] }, // its tour of 11 steps would cover the first study
    autoCineModalities: { $set: [] }, // and a film player the pages of the summary
  },
  showStudyList: true,
  // A double click on a segmentation shows it, without a question in between.
  disableConfirmationPrompts: true,
  investigationalUseDialog: { option: 'always' },
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  maxNumberOfWebWorkers: 3,
  maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
  defaultDataSourceName: 'orthanc',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'orthanc',
      configuration: {
        friendlyName: 'Orthanc',
        name: 'orthanc',
        qidoRoot: '/dicom-web',
        wadoRoot: '/dicom-web',
        wadoUriRoot: '/dicom-web',
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: false,
        supportsWildcard: true,
        qidoSupportsIncludeField: false, // Orthanc 1.10 answers 400
        omitQuotationForMultipartRequest: true,
        // Read whole, a BINARY segmentation whose frames do not end at a byte is scrambled without a word (OHIF 3.13).
        // Frame by frame it is right, or not shown.
        loadMultiframeAsPart10: false,
        bulkDataURI: { enabled: true, relativeResolution: 'studies' },
      },
    },
  ],
};
