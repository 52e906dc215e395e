{{- define "wmh-node.name" -}}
{{- printf "%s" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "wmh-node.labels" -}}
app.kubernetes.io/name: wmh-node
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "wmh-node.selector" -}}
app.kubernetes.io/name: wmh-node
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "wmh-node.image" -}}
{{- $tag := .tag | default .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- if and .root.Values.image.digest (not .tag) -}}
{{ .root.Values.image.repository }}@{{ .root.Values.image.digest }}
{{- else -}}
{{ .root.Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end }}

{{- define "wmh-node.claim" -}}
{{ .Values.storage.existingClaim | default (printf "%s-storage" (include "wmh-node.name" .)) }}
{{- end }}

{{- /* The settings as environment. Inline, not a ConfigMap: the migration runs before one of this release exists. */ -}}
{{- define "wmh-node.environment" -}}
{{- range $name, $value := .Values.settings }}
- name: WMH_NODE_{{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
- name: WMH_NODE_DATABASE_URL
  value: {{ required "database.url: expected postgresql://USER@HOST/NAME, got nothing" .Values.database.url | quote }}
{{- if .Values.database.passwordSecret.name }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.passwordSecret.name }}
      key: {{ .Values.database.passwordSecret.key }}
{{- end }}
{{- end }}

{{- define "wmh-node.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "wmh-node.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* One role as a Deployment. Arguments: root, role, replicas, grace, strategy, values, ports, environment. */ -}}
{{- define "wmh-node.deployment" -}}
{{- $root := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "wmh-node.name" $root }}-{{ .role }}
  labels:
    {{- include "wmh-node.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
spec:
  {{- with toString .replicas }}
  replicas: {{ . }}
  {{- end }}
  strategy:
    type: {{ .strategy }}
  selector:
    matchLabels:
      {{- include "wmh-node.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "wmh-node.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .role }}
      {{- if $root.Values.metrics.podAnnotations }}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: {{ $root.Values.metrics.port | quote }}
        prometheus.io/path: /metrics
      {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .grace }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "wmh-node.podSecurity" $root | nindent 8 }}
      {{- with .values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "wmh-node.selector" . | nindent 14 }}
      containers:
        - name: {{ .role }}
          image: {{ include "wmh-node.image" (dict "root" $root "tag" .tag) | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [{{ .role }}]
          securityContext:
            {{- include "wmh-node.containerSecurity" $root | nindent 12 }}
          env:
            {{- include "wmh-node.environment" $root | nindent 12 }}
            - name: WMH_NODE_METRICS_BIND
              value: "0.0.0.0"
            - name: WMH_NODE_METRICS_PORT
              value: {{ $root.Values.metrics.port | quote }}
            {{- with .environment }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: metrics
              containerPort: {{ $root.Values.metrics.port }}
            {{- with .ports }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          # A model takes its time to load; a database that is away is no reason to kill anything.
          startupProbe:
            httpGet: {path: /livez, port: metrics}
            periodSeconds: 5
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /livez, port: metrics}
            periodSeconds: 20
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: metrics}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          resources:
            {{- toYaml .resources | nindent 12 }}
          volumeMounts:
            - name: storage
              mountPath: /var/lib/wmh-node
            - name: tmp
              mountPath: /tmp
            {{- if and (eq .role "receive") $root.Values.tls.secretName }}
            - name: tls
              mountPath: /etc/wmh-node/tls
              readOnly: true
            {{- end }}
      volumes:
        - name: storage
          persistentVolumeClaim:
            claimName: {{ include "wmh-node.claim" $root }}
        - name: tmp
          emptyDir: {}
        {{- if and (eq .role "receive") $root.Values.tls.secretName }}
        - name: tls
          secret:
            secretName: {{ $root.Values.tls.secretName }}
            defaultMode: 0440
        {{- end }}
{{- end }}
